// What the JDK's clients send, byte for byte (as recorded from JDK 17): a length
// of 0 with each handshake, and an offer of HTTP/2 with each request. Deno 2.8.3
// to 2.9.6 answers both with 400 before any handler runs, so a student's client
// in Java cannot connect; that is why an older one is pinned. As soon as a
// release takes them again these tests fail: then move up.
import { assertMatch } from "@std/assert";
import { hasNewHttp, RawClient, startServer } from "../support/harness.ts";

const handshake = (port: number) =>
  "GET /ws HTTP/1.1\r\n" +
  "Connection: Upgrade\r\n" +
  "Content-Length: 0\r\n" +
  `Host: 127.0.0.1:${port}\r\n` +
  "Upgrade: websocket\r\n" +
  "User-Agent: Java-http-client/17.0.15\r\n" +
  "Sec-WebSocket-Key: w2q1B3Qhx+nHSQPLP6z0Wg==\r\n" +
  "Sec-WebSocket-Version: 13\r\n\r\n";

const get = (port: number) =>
  "GET /messages HTTP/1.1\r\n" +
  "Connection: Upgrade, HTTP2-Settings\r\n" +
  "Content-Length: 0\r\n" +
  `Host: 127.0.0.1:${port}\r\n` +
  "HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\n" +
  "Upgrade: h2c\r\n" +
  "User-Agent: Java-http-client/17.0.15\r\n\r\n";

for (
  const [what, bytes, status] of [
    ["WebSocket", handshake, 101],
    ["HttpClient", get, 200],
  ] as const
) {
  const answer = hasNewHttp ? 400 : status;
  const why = hasNewHttp ? ", by this Deno alone" : "";
  Deno.test(`Java's ${what} is answered with ${answer}${why}`, async () => {
    await using server = await startServer();
    using raw = await RawClient.open(server.port);
    await raw.write(bytes(server.port));
    assertMatch(await raw.readHead(), new RegExp(`^HTTP/1.1 ${answer} `));
  });
}
