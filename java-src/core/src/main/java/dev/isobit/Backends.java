package dev.isobit;

import dev.isobit.spi.BackendProvider;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.stream.Collectors;

/** Finds and opens backends. */
final class Backends {
    private static final System.Logger LOG = System.getLogger("isobit");

    private Backends() {}

    private static List<BackendProvider> providers() {
        List<BackendProvider> found = new ArrayList<>();
        var loader = ServiceLoader.load(BackendProvider.class, Backends.class.getClassLoader()).iterator();
        while (true) {
            try {
                if (!loader.hasNext()) {
                    break;
                }
                found.add(loader.next());
            } catch (ServiceConfigurationError e) {
                LOG.log(System.Logger.Level.WARNING, "a backend provider could not be loaded: {0}", e.getMessage());
            }
        }
        found.sort(Comparator.comparingInt(BackendProvider::priority).reversed());
        return found;
    }

    static List<BackendProbe> probes() {
        return providers().stream().map(BackendProvider::probe).toList();
    }

    static Backend best(BackendOptions options) {
        String forced = System.getProperty("isobit.backend");
        if (forced != null) {
            return open(forced, options);
        }
        List<String> passedOver = new ArrayList<>();
        for (BackendProvider provider : providers()) {
            BackendProbe probe = provider.probe();
            if (probe.available()) {
                Backend backend = provider.open(options);
                LOG.log(System.Logger.Level.INFO, () -> "backend " + backend.name() + " (" + backend.description() + ")"
                        + (passedOver.isEmpty() ? "" : "; passed over " + String.join("; ", passedOver)));
                return backend;
            }
            passedOver.add(probe.name() + ": " + probe.detail());
        }
        throw new BackendUnavailableException("no backend runs here: " + String.join("; ", passedOver));
    }

    static Backend open(String name, BackendOptions options) {
        List<BackendProvider> providers = providers();
        for (BackendProvider provider : providers) {
            if (provider.name().equals(name)) {
                BackendProbe probe = provider.probe();
                if (!probe.available()) {
                    throw new BackendUnavailableException("backend " + name + " cannot run here: " + probe.detail());
                }
                return provider.open(options);
            }
        }
        throw new IllegalArgumentException("no backend \"" + name + "\"; there are "
                + providers.stream().map(BackendProvider::name).collect(Collectors.joining(", ")));
    }
}
