// Java's HttpClient through a proxy, once over HTTP/1.1 and once over HTTP/2.
// Prints one JSON line per client; trusts what -Djavax.net.ssl.trustStore names.
import java.net.InetSocketAddress;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;

public class Client {
    static HttpResponse<byte[]> send(HttpClient client, String method, String path, String body)
            throws Exception {
        var request = HttpRequest.newBuilder()
                .uri(URI.create("https://" + System.getenv("ORIGIN") + path))
                .timeout(Duration.ofSeconds(15))
                .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body))
                .build();
        return client.send(request, BodyHandlers.ofByteArray());
    }

    static void report(String name, HttpClient.Version version) throws Exception {
        var proxy = new InetSocketAddress(
                System.getenv("PROXY_HOST"), Integer.parseInt(System.getenv("PROXY_PORT")));
        var client = HttpClient.newBuilder()
                .version(version)
                .proxy(ProxySelector.of(proxy))
                .connectTimeout(Duration.ofSeconds(10))
                .build();
        var mark = System.getenv("MARK") + "-" + name;
        var small = send(client, "GET", "/small.txt?" + mark, null);
        var large = send(client, "GET", "/large.bin", null);
        var put = send(client, "PUT", "/upload/" + mark, "u".repeat(200_000));
        var sum = MessageDigest.getInstance("SHA-256").digest(large.body());
        System.out.printf(
                "{\"client\": \"%s\", \"http2\": %s, \"small\": \"%s\","
                        + " \"large_sha256\": \"%s\", \"upload_status\": %d}%n",
                name,
                small.version() == HttpClient.Version.HTTP_2,
                new String(small.body()).replace("\n", "\\n"),
                HexFormat.of().formatHex(sum),
                put.statusCode());
    }

    public static void main(String[] arguments) throws Exception {
        report("h1", HttpClient.Version.HTTP_1_1);
        report("h2", HttpClient.Version.HTTP_2);
    }
}
