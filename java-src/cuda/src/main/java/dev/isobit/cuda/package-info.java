/** The CUDA backend. */
package dev.isobit.cuda;
