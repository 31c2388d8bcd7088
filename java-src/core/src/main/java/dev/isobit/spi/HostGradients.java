package dev.isobit.spi;

/** The gradients of an optimizer in host memory, all parameters of all groups in order. */
public interface HostGradients {
    /**
     * Adds up the squares of the gradients' elements.
     *
     * @param enabled which groups take part
     * @return the sum; not finite if an element is not
     */
    double sumOfSquares(boolean[] enabled);

    /**
     * Sets gradients to zero.
     *
     * @param enabled of which groups
     */
    void zero(boolean[] enabled);
}
