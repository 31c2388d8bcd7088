package dev.isobit.cuda;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Tests of a class that run on the recording driver, each on a fresh one; what they leave behind in it fails them. They
 * run in a JVM of their own, since a process has one libcuda.so.1. A parameter of type {@link Recorder} is filled in.
 */
@Tag("recorder")
@ExtendWith(RecorderExtension.class)
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.TYPE)
@interface RecorderTest {}
