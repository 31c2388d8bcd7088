package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.opentest4j.TestAbortedException;

/** Where the JVM puts the fields of what each worker writes at each row. */
class LinesBeforeTest {
    private static final int LINES = 128;

    /** The offset of a field in its object, as the JVM has laid it out. */
    private static long offset(Field field) throws ReflectiveOperationException {
        Class<?> type = Class.forName("sun.misc.Unsafe");
        Field unsafe = type.getDeclaredField("theUnsafe");
        unsafe.setAccessible(true);
        Method method;
        try {
            method = type.getMethod("objectFieldOffset", Field.class);
        } catch (NoSuchMethodException e) {
            throw new TestAbortedException("this JDK does not tell where fields lie", e);
        }
        return (long) method.invoke(unsafe.get(null), field);
    }

    private static List<Long> offsets(Class<?> type) throws ReflectiveOperationException {
        List<Long> offsets = new ArrayList<>();
        for (Field field : type.getDeclaredFields()) {
            if (!Modifier.isStatic(field.getModifiers())) {
                offsets.add(offset(field));
            }
        }
        offsets.sort(null);
        return offsets;
    }

    @ParameterizedTest
    @ValueSource(
            classes = {SegmentWork.class, RowState.class, ShortRows.class, GeneralRowState.class, RowSegment.class})
    void linesLieBeforeAndBehind(Class<?> type) throws ReflectiveOperationException {
        Class<?> padded = Class.forName(type.getName() + "$Padded");
        assertEquals(type, padded.getSuperclass());
        assertEquals(LinesBefore.class, type.getSuperclass());
        List<Long> before = offsets(LinesBefore.class);
        List<Long> own = offsets(type);
        List<Long> behind = offsets(padded);
        assertTrue(own.size() > 3, own.toString());
        assertTrue(before.getLast() < own.getFirst(), before + " before " + own);
        assertTrue(own.getFirst() - before.getFirst() >= LINES, before + " before " + own);
        assertTrue(own.getLast() < behind.getFirst(), own + " before " + behind);
        assertTrue(behind.getLast() + Long.BYTES - behind.getFirst() >= LINES, behind.toString());
    }

    /** No byte before the lines is left for a field of a subclass. */
    @Test
    void theHeaderHasNoGap() throws ReflectiveOperationException {
        List<Long> before = offsets(LinesBefore.class);
        assertTrue(before.get(1) - before.getFirst() <= Long.BYTES, before.toString());
    }
}
