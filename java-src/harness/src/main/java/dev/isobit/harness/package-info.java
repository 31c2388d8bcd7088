/** The command line, and what proves that all paths return the same bits. */
package dev.isobit.harness;
