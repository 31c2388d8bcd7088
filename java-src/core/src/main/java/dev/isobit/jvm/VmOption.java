package dev.isobit.jvm;

import java.lang.management.ManagementFactory;
import javax.management.JMException;
import javax.management.ObjectName;
import javax.management.openmbean.CompositeData;
import org.jspecify.annotations.Nullable;

/** Options of HotSpot, through JMX: no module of the JDK beyond {@code java.management} is needed to compile. */
public final class VmOption {
    private VmOption() {}

    /**
     * The value of an option.
     *
     * @param name such as {@code UseFMA}
     * @return its value, or null where this JVM does not tell
     */
    public static @Nullable String get(String name) {
        try {
            var server = ManagementFactory.getPlatformMBeanServer();
            var option = (CompositeData) server.invoke(new ObjectName("com.sun.management:type=HotSpotDiagnostic"),
                    "getVMOption", new Object[] {name}, new String[] {String.class.getName()});
            return (String) option.get("value");
        } catch (JMException | RuntimeException e) {
            return null;
        }
    }
}
