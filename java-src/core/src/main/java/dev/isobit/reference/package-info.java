/** The float64 reference: scalar, slow, obvious. Every other backend is judged by it. */
@NullMarked
package dev.isobit.reference;

import org.jspecify.annotations.NullMarked;
