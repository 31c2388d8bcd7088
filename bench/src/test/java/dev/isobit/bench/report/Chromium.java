package dev.isobit.bench.report;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A headless Chromium, spoken to by its DevTools protocol. Used by one thread. */
final class Chromium implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long SECONDS = 90;

    private final Process process;
    private final HttpClient client = HttpClient.newHttpClient();
    private final WebSocket socket;
    private final BlockingQueue<JsonNode> messages = new LinkedBlockingQueue<>();
    private final List<String> complaints = new ArrayList<>();
    private final List<String> requests = new ArrayList<>();
    private boolean loaded;
    private int calls;

    /** The program, if this machine has one. */
    static Optional<Path> find() {
        return Stream.of(System.getenv().getOrDefault("PATH", "").split(":"))
                .flatMap(folder -> Stream.of("chromium", "chromium-browser", "google-chrome")
                        .map(name -> Path.of(folder, name)))
                .filter(Files::isExecutable).findFirst();
    }

    Chromium(Path program, Path profile) throws Exception {
        process = new ProcessBuilder(program.toString(), "--headless=new", "--no-sandbox", "--disable-gpu",
                "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars", "--remote-debugging-port=0",
                "--user-data-dir=" + profile, "about:blank").redirectErrorStream(true).start();
        int port = port(process.inputReader());
        JsonNode pages = JSON.readTree(client.send(
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/json")).build(),
                HttpResponse.BodyHandlers.ofString()).body());
        String address = "";
        for (JsonNode page : pages) {
            address = page.get("type").asText().equals("page") ? page.get("webSocketDebuggerUrl").asText() : address;
        }
        socket = client.newWebSocketBuilder().buildAsync(URI.create(address), new Listener())
                .get(SECONDS, TimeUnit.SECONDS);
        for (String domain : List.of("Page", "Runtime", "Log", "Network")) {
            call(domain + ".enable", JSON.createObjectNode());
        }
    }

    private static int port(BufferedReader said) throws IOException {
        for (String line = said.readLine(); line != null; line = said.readLine()) {
            if (line.startsWith("DevTools listening on ")) {
                // Who talks to nobody must not be stopped by a full pipe.
                Thread.ofVirtual().start(() -> said.lines().forEach(rest -> {}));
                return URI.create(line.substring(line.lastIndexOf(' ') + 1)).getPort();
            }
        }
        throw new IOException("chromium did not start");
    }

    private final class Listener implements WebSocket.Listener {
        private final StringBuilder text = new StringBuilder();

        @Override
        public CompletionStage<?> onText(WebSocket from, CharSequence part, boolean last) {
            text.append(part);
            if (last) {
                try {
                    messages.add(JSON.readTree(text.toString()));
                } catch (IOException e) {
                    throw new IllegalStateException(e);
                }
                text.setLength(0);
            }
            from.request(1);
            return null;
        }
    }

    private JsonNode call(String method, ObjectNode parameters) throws Exception {
        int id = ++calls;
        ObjectNode message = JSON.createObjectNode().put("id", id).put("method", method);
        message.set("params", parameters);
        socket.sendText(message.toString(), true).get(SECONDS, TimeUnit.SECONDS);
        while (true) {
            JsonNode answer = next();
            if (answer.path("id").asInt() == id) {
                if (answer.has("error")) {
                    throw new IllegalStateException(method + ": " + answer.get("error"));
                }
                return answer.get("result");
            }
        }
    }

    private JsonNode next() throws InterruptedException {
        JsonNode message = messages.poll(SECONDS, TimeUnit.SECONDS);
        if (message == null) {
            throw new IllegalStateException("chromium is silent");
        }
        JsonNode told = message.path("params");
        switch (message.path("method").asText()) {
            case "Page.loadEventFired" -> loaded = true;
            case "Runtime.exceptionThrown" -> complaints.add(told.toString());
            case "Runtime.consoleAPICalled" -> complaints.add(told.get("type") + " " + told.get("args"));
            case "Log.entryAdded" -> complaints.add(told.get("entry").get("text").asText());
            case "Network.requestWillBeSent" -> requests.add(told.get("request").get("url").asText());
            default -> {
                // of no interest
            }
        }
        return message;
    }

    /** Opens a file in a window, in a theme, as on a screen or on paper. */
    void open(Path page, int width, int height, boolean dark, String media) throws Exception {
        complaints.clear();
        requests.clear();
        ObjectNode emulated = JSON.createObjectNode().put("media", media);
        emulated.putArray("features").addObject().put("name", "prefers-color-scheme").put("value",
                dark ? "dark" : "light");
        call("Emulation.setEmulatedMedia", emulated);
        call("Emulation.setDeviceMetricsOverride", JSON.createObjectNode().put("width", width).put("height", height)
                .put("deviceScaleFactor", 1).put("mobile", width < 600));
        loaded = false;
        call("Page.navigate", JSON.createObjectNode().put("url", page.toUri().toString()));
        while (!loaded) {
            next();
        }
    }

    /** The value of an expression. */
    JsonNode evaluate(String expression) throws Exception {
        JsonNode result = call("Runtime.evaluate",
                JSON.createObjectNode().put("expression", expression).put("returnByValue", true));
        if (result.has("exceptionDetails")) {
            throw new IllegalStateException(result.get("exceptionDetails").toString());
        }
        return result.get("result").path("value");
    }

    /** The whole page as PNG. */
    void screenshot(Path file) throws Exception {
        JsonNode shot = call("Page.captureScreenshot",
                JSON.createObjectNode().put("format", "png").put("captureBeyondViewport", true));
        Files.write(file, Base64.getDecoder().decode(shot.get("data").asText()));
    }

    /** Errors and anything else written to the console since the page was opened. */
    List<String> complaints() {
        return List.copyOf(complaints);
    }

    /** What was loaded. */
    List<String> requests() {
        return List.copyOf(requests);
    }

    @Override
    public void close() {
        socket.abort();
        client.close();
        process.destroy();
        process.onExit().completeOnTimeout(process, 10, TimeUnit.SECONDS).join();
        process.destroyForcibly().onExit().join();
    }
}
