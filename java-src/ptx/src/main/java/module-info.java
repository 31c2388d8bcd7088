/** Parser, interpreter and sanitizer for PTX. */
module dev.isobit.ptx {
    exports dev.isobit.ptx;
}
