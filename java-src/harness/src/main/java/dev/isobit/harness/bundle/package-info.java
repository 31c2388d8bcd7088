/** Packs everything into one archive that runs on a machine with nothing installed. */
package dev.isobit.harness.bundle;
