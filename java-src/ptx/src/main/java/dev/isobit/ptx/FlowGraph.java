package dev.isobit.ptx;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;

/**
 * The control flow of one function, instruction by instruction, and where divided ways meet again: the immediate
 * post-dominator of each instruction.
 */
final class FlowGraph {
    private final int[][] successors;
    private final int end;

    /** @param successors per instruction the indices that may follow; {@code successors.length} is the way out */
    FlowGraph(int[][] successors) {
        this.successors = successors;
        this.end = successors.length;
    }

    /** Per instruction the nearest one that every way to the end passes; {@code length} for the end itself or none. */
    int[] meetingPoints() {
        int n = end + 1;
        int[][] predecessors = predecessors(n);
        int[] order = new int[n]; // position in a depth-first post-order of the reversed graph, from the end
        int[] byOrder = reversedPostOrder(predecessors, order);
        int[] meeting = new int[n];
        Arrays.fill(meeting, -1);
        meeting[end] = end;
        boolean changed = true;
        while (changed) {
            changed = false;
            for (int node : byOrder) {
                if (node == end) {
                    continue;
                }
                int found = -1;
                for (int successor : successors[node]) {
                    if (meeting[successor] >= 0) {
                        found = found < 0 ? successor : intersect(found, successor, meeting, order);
                    }
                }
                if (found >= 0 && meeting[node] != found) {
                    meeting[node] = found;
                    changed = true;
                }
            }
        }
        for (int i = 0; i < n; i++) {
            if (meeting[i] < 0) {
                meeting[i] = end; // an endless loop
            }
        }
        return meeting;
    }

    /** Per instruction whether there is a way from it to the end. */
    boolean[] reachingEnd() {
        int n = end + 1;
        int[] order = new int[n];
        reversedPostOrder(predecessors(n), order);
        boolean[] reaching = new boolean[n];
        for (int i = 0; i < n; i++) {
            reaching[i] = order[i] >= 0;
        }
        return reaching;
    }

    private int[][] predecessors(int n) {
        int[] count = new int[n];
        for (int[] list : successors) {
            for (int s : list) {
                count[s]++;
            }
        }
        int[][] result = new int[n][];
        for (int i = 0; i < n; i++) {
            result[i] = new int[count[i]];
        }
        for (int i = 0; i < successors.length; i++) {
            for (int s : successors[i]) {
                result[s][--count[s]] = i;
            }
        }
        return result;
    }

    /** Nodes in reverse post-order of the reversed graph; fills each node's post-order number. */
    private int[] reversedPostOrder(int[][] predecessors, int[] order) {
        int n = predecessors.length;
        Arrays.fill(order, -1);
        int[] progress = new int[n];
        boolean[] seen = new boolean[n];
        int[] post = new int[n];
        int count = 0;
        Deque<Integer> stack = new ArrayDeque<>();
        stack.push(end);
        seen[end] = true;
        while (!stack.isEmpty()) {
            int node = stack.peek();
            if (progress[node] < predecessors[node].length) {
                int before = predecessors[node][progress[node]++];
                if (!seen[before]) {
                    seen[before] = true;
                    stack.push(before);
                }
            } else {
                stack.pop();
                order[node] = count;
                post[count++] = node;
            }
        }
        int[] reversed = new int[count];
        for (int i = 0; i < count; i++) {
            reversed[i] = post[count - 1 - i];
        }
        return reversed;
    }

    private static int intersect(int a, int b, int[] meeting, int[] order) {
        int x = a;
        int y = b;
        while (x != y) {
            while (order[x] < order[y]) {
                x = meeting[x];
            }
            while (order[y] < order[x]) {
                y = meeting[y];
            }
        }
        return x;
    }
}
