package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.parallel.Isolated;

@Isolated
@Timeout(60)
class ScratchPoolTest {
    private static final long SLOTS = ScratchPool.MEMORY.byteSize() / ScratchPool.SLOT - 1;

    @Test
    void slotsBeginWithACacheLineAndAreLentToOneAtATime() {
        Set<Long> taken = new HashSet<>();
        try {
            for (long i = 0; i < SLOTS; i++) {
                long slot = ScratchPool.take();
                assertTrue(taken.add(slot), "slot " + slot + " is lent twice");
                assertEquals(0, (ScratchPool.MEMORY.address() + slot) % 64, "slot " + slot);
                assertTrue(slot >= 0 && slot % ScratchPool.SLOT == 0 && slot / ScratchPool.SLOT < SLOTS,
                        "slot " + slot);
            }
        } finally {
            taken.forEach(ScratchPool::giveBack);
        }
    }

    @Test
    void whoComesWhileAllAreLentGetsTheFirstThatIsGivenBack() throws Exception {
        Set<Long> taken = new HashSet<>();
        try {
            for (long i = 0; i < SLOTS; i++) {
                taken.add(ScratchPool.take());
            }
            assertEquals(SLOTS, taken.size());
            CompletableFuture<Long> late = CompletableFuture.supplyAsync(ScratchPool::take);
            boolean waited = false;
            try {
                late.get(200, TimeUnit.MILLISECONDS);
            } catch (TimeoutException e) {
                waited = true;
            }
            assertTrue(waited, "a slot more than there are was lent");
            long some = ScratchPool.SLOT * (SLOTS / 2);
            assertTrue(taken.remove(some));
            ScratchPool.giveBack(some);
            assertEquals(some, late.get(30, TimeUnit.SECONDS));
            taken.add(some);
            assertFalse(taken.isEmpty());
        } finally {
            taken.forEach(ScratchPool::giveBack);
        }
    }
}
