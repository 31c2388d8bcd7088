package dev.isobit.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Segments of 8192 values of which two are not 0: for each addition of a fold of 1024 lanes, and for each turn of a lane,
 * two whose sum, or the sum of whose squares, is rounded up.
 *
 * @param values of one segment behind the other
 * @param sums of the values, or of their squares, of each segment
 */
record FoldPairs(float[] values, float[] sums) {
    static FoldPairs of(boolean squares, Random random) {
        List<int[]> places = new ArrayList<>();
        for (int half = 512; half > 0; half /= 2) {
            for (int first = 0; first < half; first += 32) {
                int lane = first + random.nextInt(Math.min(32, half));
                places.add(new int[] {lane, lane + half});
            }
        }
        for (int turn = 1; turn < 8; turn++) {
            int lane = random.nextInt(1024);
            places.add(new int[] {lane, lane + 1024 * turn});
        }
        float[] values = new float[8192 * places.size()];
        float[] sums = new float[places.size()];
        for (int j = 0; j < sums.length; j++) {
            float a;
            float b;
            float first;
            float second;
            do {
                a = 1 + random.nextFloat();
                b = random.nextFloat();
                first = squares ? a * a : a;
                second = squares ? b * b : b;
                sums[j] = first + second;
            } while (sums[j] <= (double) first + second);
            values[8192 * j + places.get(j)[0]] = a;
            values[8192 * j + places.get(j)[1]] = b;
        }
        return new FoldPairs(values, sums);
    }
}
