/**
 * What any backend must do, as abstract tests: a module that has a backend extends them. The float32 definitions beside
 * them are kernels/NUMERICS.md read aloud.
 */
package dev.isobit.contract;
