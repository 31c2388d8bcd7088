package dev.isobit;

import dev.isobit.spi.BackendProvider;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;

/** Finds and opens backends. */
final class Backends {
    private static final System.Logger LOG = System.getLogger("isobit");

    /** By backend: why {@link #best} could not open it, though its probe had found all it needs. */
    private static final Map<String, String> NOT_OPENED = new ConcurrentHashMap<>();

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
        return probes(providers());
    }

    static List<BackendProbe> probes(List<BackendProvider> providers) {
        return providers.stream().map(provider -> probe(provider, provider.probe())).toList();
    }

    private static BackendProbe probe(BackendProvider provider, BackendProbe probe) {
        String failure = NOT_OPENED.get(provider.name());
        return !probe.available() || failure == null
                ? probe
                : new BackendProbe(probe.name(), false, probe.detail() + "; but it could not be opened: " + failure);
    }

    static Backend best(BackendOptions options) {
        String forced = System.getProperty("isobit.backend");
        return forced != null ? open(forced, options) : best(providers(), options);
    }

    /** The first that opens. A probe cannot foresee all: a device may be out of memory, or break a moment later. */
    static Backend best(List<BackendProvider> providers, BackendOptions options) {
        System.Logger.Level level = System.Logger.Level.INFO;
        List<String> passedOver = new ArrayList<>();
        for (BackendProvider provider : providers) {
            BackendProbe probe = provider.probe();
            if (probe.available()) {
                try {
                    Backend backend = open(provider, options);
                    LOG.log(level, () -> "backend " + backend.name() + " (" + backend.description() + ")"
                            + (passedOver.isEmpty() ? "" : "; passed over " + String.join("; ", passedOver)));
                    return backend;
                } catch (IsobitException e) {
                    NOT_OPENED.put(provider.name(), String.valueOf(e.getMessage()));
                    level = System.Logger.Level.WARNING;
                }
            }
            passedOver.add(probe.name() + ": " + probe(provider, probe).detail());
        }
        throw new BackendUnavailableException("no backend runs here: " + String.join("; ", passedOver));
    }

    private static Backend open(BackendProvider provider, BackendOptions options) {
        Backend backend = provider.open(options);
        NOT_OPENED.remove(provider.name());
        return backend;
    }

    static Backend open(String name, BackendOptions options) {
        List<BackendProvider> providers = providers();
        for (BackendProvider provider : providers) {
            if (provider.name().equals(name)) {
                BackendProbe probe = provider.probe();
                if (!probe.available()) {
                    throw new BackendUnavailableException("backend " + name + " cannot run here: " + probe.detail());
                }
                return open(provider, options);
            }
        }
        throw new IllegalArgumentException("no backend \"" + name + "\"; there are "
                + providers.stream().map(BackendProvider::name).collect(Collectors.joining(", ")));
    }
}
