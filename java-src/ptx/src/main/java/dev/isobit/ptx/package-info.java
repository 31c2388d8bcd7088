/** Parser, interpreter and sanitizer for PTX. */
package dev.isobit.ptx;
