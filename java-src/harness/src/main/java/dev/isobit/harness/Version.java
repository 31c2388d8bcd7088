package dev.isobit.harness;

import java.io.IOException;
import java.util.Properties;

import picocli.CommandLine.IVersionProvider;

/** The version that the build wrote into this jar. */
public final class Version implements IVersionProvider {
    /** Called by picocli. */
    public Version() {}

    /** Returns the version of this build, such as {@code 0.1.0}. */
    public static String current() {
        try (var in = Version.class.getResourceAsStream("build.properties")) {
            if (in == null) {
                throw new IllegalStateException("build.properties is missing beside " + Version.class.getName());
            }
            var properties = new Properties();
            properties.load(in);
            return properties.getProperty("version");
        } catch (IOException e) {
            throw new IllegalStateException("build.properties cannot be read", e);
        }
    }

    @Override
    public String[] getVersion() {
        return new String[] {"isobit " + current() + " on Java " + Runtime.version()};
    }
}
