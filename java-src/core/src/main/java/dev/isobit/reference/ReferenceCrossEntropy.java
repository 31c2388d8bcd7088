package dev.isobit.reference;

import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.math.ExactMath;
import dev.isobit.spi.CrossEntropyCall;
import dev.isobit.spi.CrossEntropyKernel;
import dev.isobit.spi.HostTargets;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Cross-entropy of a row z with label q, a weight per class:
 * <pre>
 * m = max z;  n = count of z = m;  r = sum over z &lt; m of exp(z - m);  s = n + r
 * lse = m + log s;   distance_k = (m - z_k) + log s
 * loss = weight·(sum over q_k &gt; 0 of q_k·distance_k + zLoss·lse^2)
 * gradient_k = upstream·weight·(sum over c of q_c·(p_k - [c = k]) + 2·zLoss·lse·p_k)·dz/dlogit
 * </pre>
 * n and r stay apart: log s is log1p(r) where n = 1, and 1 - p_k is ((n - 1) + r)/s where z_k = m; a confident row
 * keeps its digits. Float32 logits are scaled and capped in float32, as everywhere; keep, smooth and the other scalars
 * enter as the floats that they are elsewhere.
 */
final class ReferenceCrossEntropy implements CrossEntropyKernel {
    private final ReferenceBackend backend;
    private final CrossEntropyOptions options;
    private final float scale;
    private final float softcap;
    private final float softcapRate;
    private final double keep;
    private final double zLoss;

    ReferenceCrossEntropy(ReferenceBackend backend, CrossEntropyOptions options) {
        this.backend = backend;
        this.options = options;
        scale = (float) options.scale();
        softcap = (float) options.softcap();
        softcapRate = softcap == 0 ? 0 : (float) (2 / options.softcap());
        keep = (float) (1 - options.labelSmoothing());
        zLoss = (float) options.zLoss();
    }

    @Override
    public void run(CrossEntropyCall call) {
        backend.requireOpen();
        new Call(call).run();
    }

    /** One call's operands. */
    private final class Call {
        final CrossEntropyCall call;
        final Elements logits;
        final boolean wide;
        final @Nullable Elements gradLogits;
        final @Nullable Elements probabilities;
        final @Nullable Elements logProbabilities;
        final @Nullable Elements states;
        final @Nullable Elements savedStates;
        final @Nullable Elements savedTargetLogits;
        final HostTargets targets = new HostTargets();
        final int classes;
        final double smooth;
        final double[] z;
        final double[] slope;
        final double[] label;
        double max;
        long atMax;
        double rest;
        /** Of states: the labels' sums, and the entropy's. */
        double labels;
        double distances;
        double entropyTerms;
        double sum;
        double logSum;
        double lse;
        double entropy;
        long argmax;

        Call(CrossEntropyCall call) {
            this.call = call;
            Tensor input = Objects.requireNonNull(call.logits);
            logits = Elements.of(input);
            wide = input.dtype() == DType.F64;
            gradLogits = elements(call.gradLogits);
            probabilities = call.probabilities ? elements(call.targets) : null;
            logProbabilities = elements(call.logProbabilities);
            states = elements(call.states);
            savedStates = elements(call.savedStates);
            savedTargetLogits = elements(call.savedTargetLogits);
            classes = Math.toIntExact(call.classes);
            smooth = (float) (options.labelSmoothing() / call.allClasses);
            z = new double[classes];
            slope = new double[classes];
            label = new double[classes];
        }

        void run() {
            if (probabilities == null) {
                targets.view(Objects.requireNonNull(call.targets));
                targets.countNotIgnored("CrossEntropy", call.allClasses, options.ignoreIndex());
            }
            if (!call.joins()) {
                for (long row = 0; row < call.rows; row++) {
                    sum(row);
                }
                return;
            }
            boolean mean = options.reduction() == Reduction.MEAN;
            double denominator = mean ? denominator() : 1;
            boolean zero = mean && denominator == 0
                    && options.allIgnored() == CrossEntropyOptions.AllIgnored.ZERO;
            denominator = Elements.denominator(denominator);
            var gradLoss = elements(call.gradLoss);
            var loss = elements(call.loss);
            double total = 0;
            long hits = 0;
            for (long row = 0; row < call.rows; row++) {
                double upstream = (gradLoss == null ? 1 : gradLoss.get(call.gradLossPerRow ? row : 0))
                        * call.gradLossScale / denominator;
                boolean ignored = isIgnored(row);
                double rowLoss = ignored ? ignore(row) : row(row, zero ? 0 : upstream);
                set(call.lse, row, lse);
                set(call.entropy, row, entropy);
                if (call.argmax != null) {
                    Elements.of(call.argmax).setLong(row, argmax);
                }
                hits += probabilities == null && !ignored && argmax == targets.get(row) ? 1 : 0;
                if (options.reduction() == Reduction.NONE && loss != null) {
                    loss.set(row, rowLoss);
                }
                total += rowLoss;
            }
            if (options.reduction() != Reduction.NONE && loss != null) {
                loss.set(0, zero ? 0 : total / denominator);
            }
            if (call.hits != null) {
                Elements.of(call.hits).setLong(0, hits);
            }
        }

        double denominator() {
            if (options.denominator() != CrossEntropyOptions.Denominator.WEIGHTS) {
                return call.denominator == null ? call.rows : Elements.of(call.denominator).get(0);
            }
            double sum = 0;
            for (long row = 0; row < call.rows; row++) {
                sum += probabilities != null ? 1 : isIgnored(row) ? 0 : weight(row) * classWeight(targets.get(row));
            }
            return sum;
        }

        boolean isIgnored(long row) {
            return probabilities == null && targets.get(row) == options.ignoreIndex();
        }

        double weight(long row) {
            return call.weights == null ? 1 : Elements.of(call.weights).get(row);
        }

        double classWeight(long k) {
            return call.classWeights == null ? 1 : Elements.of(call.classWeights).get(k);
        }

        /** Where a class of a row stands in the logits, their gradient and probabilities. */
        long at(long row, long k) {
            return (row / call.inner * call.stride + k) * call.inner + row % call.inner;
        }

        /** Reads a row: effective logits, slopes, label. */
        void read(long row) {
            for (int k = 0; k < classes; k++) {
                transform(k, logits.get(at(row, k)));
                double share = probabilities == null
                        ? (call.firstClass + k == targets.get(row) ? keep : 0) + smooth
                        : options.labelSmoothing() == 0
                                ? probabilities.get(at(row, k))
                                : probabilities.get(at(row, k)) * keep + smooth;
                label[k] = classWeight(call.firstClass + k) * share;
            }
        }

        void transform(int k, double logit) {
            double y = wide ? logit * scale : (float) logit * scale;
            double u = Math.exp(-Math.abs(y) * softcapRate);
            slope[k] = softcap == 0 ? scale : scale * 4 * u / ((1 + u) * (1 + u));
            if (softcap == 0) {
                z[k] = y;
            } else if (wide) {
                z[k] = softcap * Math.tanh(y / softcap);
            } else {
                float decay = ExactMath.softcapDecay((float) y, softcapRate);
                z[k] = ExactMath.softcap((float) y, softcap, softcapRate, decay);
            }
        }

        /** Reads a row and sums it; false if it has no softmax. What is asked for of every row is written. */
        boolean sum(long row) {
            read(row);
            max = Double.NEGATIVE_INFINITY;
            argmax = 0;
            for (int k = 0; k < classes; k++) {
                argmax = z[k] > max ? k : argmax;
                max = Math.max(max, z[k]);
            }
            argmax = Double.isNaN(max) ? -1 : argmax;
            atMax = 0;
            rest = 0;
            for (double value : z) {
                if (value == max) {
                    atMax++;
                } else {
                    rest += Math.exp(value - max);
                }
            }
            if (states != null) {
                save(row, states);
            }
            if (call.targetLogits != null) {
                long own = isIgnored(row) ? -1 : targets.get(row) - call.firstClass;
                set(call.targetLogits, row, own >= 0 && own < classes ? z[(int) own] : 0);
            }
            if (savedStates != null) {
                restore(row, savedStates);
            }
            sum = atMax + rest;
            boolean valid = Double.isFinite(max);
            logSum = !valid ? Double.NaN : atMax == 1 ? Math.log1p(rest) : Math.log(sum);
            if (logProbabilities != null) {
                for (int k = 0; k < call.stride; k++) {
                    logProbabilities.set(at(row, k),
                            k < classes ? z[k] - max - logSum : Double.NEGATIVE_INFINITY);
                }
            }
            return valid;
        }

        int segments() {
            return Math.ceilDiv(classes, CrossEntropyCall.SEGMENT);
        }

        /** Writes what is known of each segment, around its own maximum. */
        void save(long row, Elements to) {
            for (int j = 0; j < segments(); j++) {
                int from = j * CrossEntropyCall.SEGMENT;
                int end = Math.min(from + CrossEntropyCall.SEGMENT, classes);
                double top = Double.NEGATIVE_INFINITY;
                for (int k = from; k < end; k++) {
                    top = Math.max(top, z[k]);
                }
                double base = top == Double.NEGATIVE_INFINITY ? 0 : top;
                double[] state = {top, 0, 0, 0, 0, 0, call.places ? place(from, end, top) : -1};
                for (int k = from; k < end; k++) {
                    double e = Math.exp(z[k] - base);
                    state[1] += z[k] == base ? 1 : 0;
                    state[2] += z[k] == base ? 0 : e;
                    if (probabilities != null || options.labelSmoothing() != 0) {
                        double q = probabilities == null ? classWeight(call.firstClass + k) : label[k];
                        state[3] += q;
                        state[4] += product(q, base - z[k]);
                    }
                    state[5] += call.entropyTerms ? product(e, base - z[k]) : 0;
                }
                boolean valid = top < Double.POSITIVE_INFINITY;
                for (int i = 0; i < CrossEntropyCall.STATE; i++) {
                    boolean isNumber = valid || i == CrossEntropyCall.STATE - 1;
                    to.set((j * call.rows + row) * CrossEntropyCall.STATE + i, isNumber ? state[i] : Double.NaN);
                }
            }
        }

        /** How many classes stand before the first that is {@code top}; NaN if one of them is NaN. */
        double place(int from, int end, double top) {
            int k = from;
            while (k < end && z[k] != top) {
                k++;
            }
            return Double.isNaN(top) ? Double.NaN : k - from;
        }

        /** Reads what {@link #save} wrote, of whole rows. */
        void restore(long row, Elements from) {
            int segments = Math.toIntExact(Math.ceilDiv(call.allClasses, CrossEntropyCall.SEGMENT));
            max = Double.NEGATIVE_INFINITY;
            atMax = 0;
            rest = 0;
            labels = 0;
            distances = 0;
            entropyTerms = 0;
            argmax = -1;
            double highest = Double.NEGATIVE_INFINITY;
            for (int j = segments - 1; j >= 0; j--) {
                long at = (j * call.rows + row) * CrossEntropyCall.STATE;
                double top = from.get(at);
                max = Math.max(max, top);
                // Of a segment without a NaN: +inf.
                top = Double.isNaN(top) ? Double.POSITIVE_INFINITY : top;
                if (top >= highest) {
                    highest = top;
                    argmax = (long) j * CrossEntropyCall.SEGMENT + (long) from.get(at + 6);
                }
            }
            for (int j = 0; j < segments; j++) {
                long at = (j * call.rows + row) * CrossEntropyCall.STATE;
                argmax = from.get(at + 6) >= 0 ? argmax : -1;
                double top = from.get(at);
                double gap = max - (top == Double.NEGATIVE_INFINITY ? 0 : top);
                double weight = Math.exp(top - max);
                double all = from.get(at + 1) + from.get(at + 2);
                atMax += top == max ? (long) from.get(at + 1) : 0;
                rest += weight * (top == max ? from.get(at + 2) : all);
                labels += from.get(at + 3);
                distances += from.get(at + 4) + from.get(at + 3) * gap;
                entropyTerms += product(weight, from.get(at + 5) + all * gap);
            }
        }

        /** One row: writes its gradient where asked, returns its loss. The gradient may overwrite the logits. */
        double row(long row, double upstream) {
            if (!sum(row)) {
                lse = Double.NaN;
                entropy = Double.NaN;
                fill(row, Double.NaN);
                return Double.NaN;
            }
            lse = max + logSum;
            double loss = zLoss * lse * lse;
            double mass = 0;
            if (savedStates != null) {
                double hard = probabilities == null ? keep * classWeight(targets.get(row)) : 0;
                double spread = probabilities == null ? smooth : 1;
                mass = hard + spread * labels;
                loss += product(hard, max - targetLogit(row) + logSum) + product(spread, distances + labels * logSum);
                entropy = logSum + entropyTerms / sum;
            } else {
                entropy = logSum;
                for (int k = 0; k < classes; k++) {
                    loss += product(label[k], max - z[k] + logSum);
                    mass += label[k];
                    entropy += product(Math.exp(z[k] - max), max - z[k]) / sum;
                }
            }
            if (gradLogits != null) {
                double factor = upstream * weight(row);
                for (int k = 0; k < classes; k++) {
                    double e = Math.exp(z[k] - max);
                    double others = z[k] == max ? atMax - 1 + rest : sum - e;
                    double rise = (mass - label[k]) * e / sum - label[k] * others / sum + 2 * zLoss * lse * e / sum;
                    write(row, k, factor * rise * slope[k]);
                }
                pad(row);
            }
            return product(weight(row), loss);
        }

        /** Of a row whose logits have been read, or of whose target another shard knows. */
        double targetLogit(long row) {
            if (savedTargetLogits != null) {
                return savedTargetLogits.get(row);
            }
            long own = probabilities == null ? targets.get(row) - call.firstClass : -1;
            return own >= 0 && own < classes ? z[(int) own] : 0;
        }

        double ignore(long row) {
            if (logProbabilities != null || states != null || call.targetLogits != null) {
                sum(row);
            }
            lse = 0;
            entropy = 0;
            argmax = -1;
            fill(row, 0);
            return 0;
        }

        void fill(long row, double value) {
            if (gradLogits != null) {
                for (int k = 0; k < classes; k++) {
                    write(row, k, value);
                }
                pad(row);
            }
        }

        void write(long row, long k, double value) {
            Elements to = Objects.requireNonNull(gradLogits);
            // + 0: never -0
            to.set(at(row, k), options.accumulate() ? to.get(at(row, k)) + value : value + 0.0);
        }

        void pad(long row) {
            for (long k = classes; k < call.stride; k++) {
                write(row, k, 0);
            }
        }
    }

    private static @Nullable Elements elements(@Nullable Tensor tensor) {
        return tensor == null ? null : Elements.of(tensor);
    }

    private static void set(@Nullable Tensor tensor, long row, double value) {
        if (tensor != null) {
            Elements.of(tensor).set(row, value);
        }
    }

    /** A product in which 0 wins over infinity, but not over NaN. */
    private static double product(double a, double b) {
        return (a == 0 && Double.isInfinite(b)) || (b == 0 && Double.isInfinite(a)) ? 0 : a * b;
    }

    @Override
    public void close() {
        // owns nothing
    }
}
