package dev.isobit;

/**
 * Whose reading of Adam: where decay and epsilon enter. All of them keep the same moments, and all can decay inside the
 * gradient (Adam) or apart from it (AdamW); {@link AdamOptions#decoupled} says which.
 */
public enum AdamSemantics {
    /**
     * PyTorch: AdamW scales the parameter by {@code 1 - lr·weightDecay} before the update; the denominator is
     * {@code sqrt(expAvgSq)/sqrt(bc2) + eps}.
     */
    TORCH,
    /**
     * NVIDIA's Apex, optax, Transformer Engine: AdamW adds {@code weightDecay·param} to the update, of the parameter as
     * it was; the denominator is {@code sqrt(expAvgSq/bc2) + eps}. The same numbers as {@link #TORCH}, written
     * otherwise, and here the same bits.
     */
    APEX,
    /**
     * Keras and TensorFlow: AdamW scales the parameter by {@code 1 - lr·weightDecay} before the update; epsilon-hat, so
     * the step size is {@code lr·sqrt(bc2)/bc1} and the denominator {@code sqrt(expAvgSq) + eps}.
     */
    KERAS,
    /**
     * ONNX's training operator: decay apart from the gradient ({@code norm_coefficient_post}) scales the parameter by
     * {@code 1 - weightDecay}, without lr, after the update; decay inside it is {@code norm_coefficient}; epsilon-hat as
     * {@link #KERAS}. Steps count from 0: the first one is not corrected.
     */
    ONNX,
    /**
     * Hugging Face transformers: AdamW scales the parameter by {@code 1 - lr·weightDecay} after the update; epsilon-hat
     * as {@link #KERAS}.
     */
    HF;

    /**
     * Whether the denominator has no bias correction, which goes into the step size.
     *
     * @return true for epsilon-hat
     */
    public boolean usesEpsilonHat() {
        return this == KERAS || this == ONNX || this == HF;
    }

    /**
     * Whether decay apart from the gradient also scales the update.
     *
     * @return true for decay after the update
     */
    public boolean decaysAfterUpdate() {
        return this == ONNX || this == HF;
    }
}
