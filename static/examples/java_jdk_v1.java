// A chat client with the JDK's WebSocket that loses nothing: it speaks partyline.v1,
// comes back after a lost connection and sends again what was not acknowledged. It
// takes the address of a server, ws://localhost:8000/ws if you give none, and needs a
// JDK, 11 or newer.
//   apt install default-jdk-headless
//   java java_jdk_v1.java [ADDRESS]
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.Timer;
import java.util.TimerTask;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Pattern;

/** What lasts longer than a connection; all of it is used under its lock. */
class Chat {
  /** After these codes it would only be closed again; so after 4002, when another has the key. */
  private static final Set<Integer> FINAL = Set.of(1002, 1003, 1007, 1008, 1009);
  private static final long FIRST_PAUSE_MS = 500, LONGEST_PAUSE_MS = 30_000;

  private Connection connection; // set from the welcome to the end of a connection
  private String key; // makes us the same person again
  private String epoch; // with `seq` our position: up to there nothing is missing
  private long seq;
  private String waitingId, waiting; // the message that is not acknowledged yet
  private long stayAwayMs; // as the server asked for
  private boolean hasEnded; // all that was typed is said
  private final Timer timer = new Timer(true);

  public static void main(String[] args) throws InterruptedException {
    new Chat().run(URI.create(args.length > 0 ? args[0] : "ws://localhost:8000/ws"));
  }

  private void run(URI address) throws InterruptedException {
    var http = HttpClient.newHttpClient();
    Thread talking = null;
    for (long pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        var next = new Connection(this);
        http.newWebSocketBuilder().subprotocols("partyline.v1").connectTimeout(Duration.ofSeconds(10))
            .buildAsync(address, next).join();
        if (talking == null) (talking = new Thread(this::talk)).start();
        if (judge(next.closed.join())) pauseMs = FIRST_PAUSE_MS;
      } catch (CompletionException | IllegalArgumentException failure) {
        if (talking == null) end(1, "No connection to " + address + ": " + explain(failure));
        tell("No connection: " + explain(failure));
      }
      // At random, so that not all come back at once.
      long waitMs = Math.max(stayAwayMs, ThreadLocalRandom.current().nextLong(pauseMs / 2, pauseMs));
      tell(String.format("Coming back in %.1f s.", waitMs / 1000.0));
      Thread.sleep(waitMs);
    }
  }

  /** Returns whether the connection was of use, or ends the program. */
  private synchronized boolean judge(Closed closed) {
    boolean wasWelcome = connection != null;
    connection = null;
    if (hasEnded || FINAL.contains(closed.code) || closed.code >= 4000) {
      end(closed.code == WebSocket.NORMAL_CLOSURE ? 0 : 1, closed.toString());
    }
    tell(closed.toString());
    return wasWelcome;
  }

  /** On a thread of its own. One message at a time: the next line is read when this one is stored. */
  private void talk() {
    try {
      var input = new BufferedReader(new InputStreamReader(System.in));
      for (String line; (line = input.readLine()) != null; ) say(line);
      hangUp();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    } catch (InterruptedException end) {
      // Nobody does that.
    }
  }

  private synchronized void say(String line) throws InterruptedException {
    // Others see the ids, too, so they have to be unlike theirs.
    waitingId = UUID.randomUUID().toString();
    waiting = String.format("{\"type\":\"message\",\"message\":%s,\"id\":\"%s\"}", Json.quote(line), waitingId);
    sendWaiting();
    while (waitingId != null) wait();
  }

  private synchronized void hangUp() {
    hasEnded = true;
    if (connection == null) end(0, "Not connected, and nothing is left to say.");
    connection.close();
  }

  /** Unless connected: then the next welcome does it. */
  private synchronized void sendWaiting() {
    if (connection != null && waitingId != null) connection.send(waiting);
  }

  synchronized String hello() {
    stayAwayMs = 0;
    return key == null
        ? "{\"type\":\"hello\",\"history\":0}"
        : String.format("{\"type\":\"hello\",\"history\":0,\"key\":%s,\"since\":{\"epoch\":%s,\"seq\":%d}}",
            Json.quote(key), Json.quote(epoch), seq);
  }

  synchronized void hear(Connection from, Map<?, ?> event) {
    boolean isOurs = waitingId != null && waitingId.equals(event.get("id"));
    switch ((String) event.get("type")) {
      case "welcome":
        key = (String) event.get("key");
        if (event.get("recovered") == Boolean.FALSE) tell("Some messages are missing: the server has them no more.");
        if (event.get("recovered") != Boolean.TRUE) {
          epoch = (String) event.get("epoch");
          seq = ((Number) event.get("seq")).longValue();
        }
        connection = from;
        sendWaiting();
        break;
      case "message":
        // What was sent twice comes back with the number that it had: shown once.
        if (((Number) event.get("seq")).longValue() == seq + 1) {
          seq++;
          show(event);
        }
        if (isOurs) settle();
        break;
      case "leave":
        show(event);
        break;
      case "error":
        long retryAfterMs = event.get("retryAfter") instanceof Number ? ((Number) event.get("retryAfter")).longValue() : 0;
        if (isOurs && retryAfterMs > 0) {
          later(retryAfterMs, this::sendWaiting);
          break;
        }
        tell((String) event.get("message"));
        if (isOurs) settle(); // It will never be stored.
        else stayAwayMs = retryAfterMs; // The end of the connection comes next.
        break;
      default: // A client passes over what it does not know.
    }
  }

  private void settle() {
    waitingId = null;
    notifyAll();
  }

  void later(long ms, Runnable action) {
    timer.schedule(new TimerTask() {
      @Override
      public void run() {
        action.run();
      }
    }, ms);
  }

  private static void show(Map<?, ?> event) {
    System.out.println(visible(event.get("sender") + ": " + event.get("message")));
  }

  private static final Pattern CONTROL = Pattern.compile("[\\p{Cc}\\u2028-\\u202e\\u2066-\\u2069]");

  /** Shows control characters, so that no stranger controls this terminal. */
  private static String visible(String text) {
    return CONTROL.matcher(text).replaceAll((found) -> String.format("\\\\u%04x", (int) found.group().charAt(0)));
  }

  private static void tell(String text) {
    System.err.println(visible(text));
  }

  private static void end(int status, String text) {
    tell(text);
    System.exit(status);
  }

  private static String explain(Throwable failure) {
    Throwable cause = failure.getCause() == null ? failure : failure.getCause();
    if (cause instanceof WebSocketHandshakeException) {
      var answer = ((WebSocketHandshakeException) cause).getResponse();
      String text = String.valueOf(answer.body()).strip();
      return answer.statusCode() + " " + text.substring(0, Math.min(200, text.length()));
    }
    return cause instanceof ConnectException ? "no server answers there" : cause.toString();
  }
}

class Closed {
  final int code;
  private final String reason;

  Closed(int code, String reason) {
    this.code = code;
    this.reason = reason;
  }

  @Override
  public String toString() {
    return "Closed: " + code + " " + reason;
  }
}

/** One connection, from its handshake to its end. */
class Connection implements WebSocket.Listener {
  private static final long PING_EVERY_MS = 5_000, SILENCE_LIMIT_MS = 15_000;
  final CompletableFuture<Closed> closed = new CompletableFuture<>();
  private final Chat chat;
  private final StringBuilder frame = new StringBuilder();
  private WebSocket socket;
  private volatile long heardAt = System.nanoTime();

  Connection(Chat chat) {
    this.chat = chat;
  }

  @Override
  public void onOpen(WebSocket socket) {
    this.socket = socket;
    send(chat.hello());
    socket.request(1);
    chat.later(PING_EVERY_MS, this::ping);
  }

  void send(String text) {
    watch(socket.sendText(text, true));
  }

  void close() {
    watch(socket.sendClose(WebSocket.NORMAL_CLOSURE, ""));
  }

  /** Who could not send may be the only one to hear that the connection is lost. */
  private void watch(CompletableFuture<WebSocket> sending) {
    sending.whenComplete((sent, error) -> {
      if (error != null) onError(socket, error);
    });
  }

  /**
   * TCP does not tell that a network is dead, and JDK 17 not always that a connection
   * has ended: so the server has to answer.
   */
  private void ping() {
    if (closed.isDone()) return;
    if (System.nanoTime() - heardAt > SILENCE_LIMIT_MS * 1_000_000) {
      socket.abort();
      closed.complete(new Closed(1006, "no answer"));
      return;
    }
    watch(socket.sendPing(ByteBuffer.allocate(0)));
    chat.later(PING_EVERY_MS, this::ping);
  }

  @Override
  public CompletionStage<?> onPong(WebSocket socket, ByteBuffer data) {
    heardAt = System.nanoTime();
    socket.request(1);
    return null;
  }

  /** Text comes in parts of which the last is marked. */
  @Override
  public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean isLast) {
    heardAt = System.nanoTime();
    frame.append(part);
    if (isLast) {
      for (Object event : (List<?>) new Json(frame.toString()).value()) chat.hear(this, (Map<?, ?>) event);
      frame.setLength(0);
    }
    socket.request(1);
    return null;
  }

  @Override
  public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
    closed.complete(new Closed(code, reason));
    return null;
  }

  @Override
  public void onError(WebSocket socket, Throwable error) {
    closed.complete(new Closed(1006, error.toString()));
  }
}

/** Reads JSON that is right, which the JDK cannot do by itself. */
class Json {
  private final String text;
  private int at = 0;

  Json(String text) {
    this.text = text;
  }

  Object value() {
    switch (next()) {
      case '{':
        at++;
        var object = new HashMap<String, Object>();
        while (next() != '}') {
          if (next() == ',') at++;
          String name = (String) value();
          next();
          at++;
          object.put(name, value());
        }
        at++;
        return object;
      case '[':
        at++;
        var array = new ArrayList<Object>();
        while (next() != ']') {
          if (next() == ',') at++;
          array.add(value());
        }
        at++;
        return array;
      case '"':
        return string();
      default:
        int start = at;
        while (at < text.length() && ",]} \n".indexOf(text.charAt(at)) < 0) at++;
        String word = text.substring(start, at);
        return word.equals("null") ? null
            : word.equals("true") || word.equals("false") ? (Object) (word.equals("true") ? Boolean.TRUE : Boolean.FALSE)
            : (Object) Double.valueOf(word);
    }
  }

  private char next() {
    while (Character.isWhitespace(text.charAt(at))) at++;
    return text.charAt(at);
  }

  private String string() {
    var string = new StringBuilder();
    for (at++; text.charAt(at) != '"'; at++) {
      char c = text.charAt(at);
      if (c == '\\') {
        c = text.charAt(++at);
        int known = "bfnrt".indexOf(c);
        if (known >= 0) c = "\b\f\n\r\t".charAt(known);
        if (c == 'u') {
          c = (char) Integer.parseInt(text.substring(at + 1, at + 5), 16);
          at += 4;
        }
      }
      string.append(c);
    }
    at++;
    return string.toString();
  }

  static String quote(String text) {
    var quoted = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c < ' ') quoted.append(String.format("\\u%04x", (int) c));
      else if (c == '"' || c == '\\') quoted.append('\\').append(c);
      else quoted.append(c);
    }
    return quoted.append('"').toString();
  }
}
