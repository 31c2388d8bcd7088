package dev.isobit;

/** Whose reading of Adam: where decay and epsilon enter. */
public enum AdamSemantics {
    /**
     * PyTorch: AdamW scales the parameter by {@code 1 - lr·weightDecay} before the update, Adam adds
     * {@code weightDecay·param} to the gradient; the denominator is {@code sqrt(expAvgSq)/sqrt(bc2) + eps}.
     */
    TORCH
}
