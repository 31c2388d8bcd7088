package dev.isobit.harness.verify;

import dev.isobit.Adam;
import dev.isobit.Sgd;
import dev.isobit.StepState;

/** Adam or SGD with things done around the update. */
interface Stepper extends AutoCloseable {
    void accumulate();

    void accumulateAndStep();

    void step();

    void set(int group, double lr, boolean enabled);

    void setStepCount(long count);

    long stepCount(int group);

    StepState state();

    @Override
    void close();

    static Stepper of(Adam adam) {
        return new Stepper() {
            @Override
            public void accumulate() {
                adam.accumulate();
            }

            @Override
            public void accumulateAndStep() {
                adam.accumulateAndStep();
            }

            @Override
            public void step() {
                adam.step();
            }

            @Override
            public void set(int group, double lr, boolean enabled) {
                adam.setLr(group, lr);
                adam.setEnabled(group, enabled);
            }

            @Override
            public void setStepCount(long count) {
                adam.setStepCount(count);
            }

            @Override
            public long stepCount(int group) {
                return adam.stepCount(group);
            }

            @Override
            public StepState state() {
                return adam.stepState();
            }

            @Override
            public void close() {
                adam.close();
            }
        };
    }

    static Stepper of(Sgd sgd) {
        return new Stepper() {
            @Override
            public void accumulate() {
                sgd.accumulate();
            }

            @Override
            public void accumulateAndStep() {
                sgd.accumulateAndStep();
            }

            @Override
            public void step() {
                sgd.step();
            }

            @Override
            public void set(int group, double lr, boolean enabled) {
                sgd.setLr(group, lr);
                sgd.setEnabled(group, enabled);
            }

            @Override
            public void setStepCount(long count) {
                sgd.setStepCount(count);
            }

            @Override
            public long stepCount(int group) {
                return sgd.stepCount(group);
            }

            @Override
            public StepState state() {
                return sgd.stepState();
            }

            @Override
            public void close() {
                sgd.close();
            }
        };
    }
}
