// A chat client with the WebSocket that is part of the JDK: it sends each line that
// you type and prints what the others say. It takes the address of a server,
// ws://localhost:8000/ws if you give none, and needs a JDK, 11 or newer.
//   apt install default-jdk-headless
//   java java_jdk.java [ADDRESS]
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.regex.Pattern;

class Chat implements WebSocket.Listener {
  private static final Pattern CONTROL = Pattern.compile("[\\p{Cc}\\u2028-\\u202e\\u2066-\\u2069]");
  private final StringBuilder frame = new StringBuilder();

  public static void main(String[] args) throws Exception {
    String address = args.length > 0 ? args[0] : "ws://localhost:8000/ws";
    WebSocket socket = null;
    try {
      socket = HttpClient.newHttpClient().newWebSocketBuilder().buildAsync(URI.create(address), new Chat()).join();
    } catch (Exception failure) {
      end(1, "No connection to " + address + ": " + explain(failure));
    }
    try {
      var input = new BufferedReader(new InputStreamReader(System.in));
      for (String line; (line = input.readLine()) != null; ) socket.sendText(line, true).join();
      socket.sendClose(WebSocket.NORMAL_CLOSURE, "").join();
      // The answer comes to onClose, on a thread that does not keep the program alive.
      Thread.sleep(10_000);
      end(1, "Closed: no answer");
    } catch (CompletionException failure) {
      // Who could not send may be the only one to hear that the connection is lost.
      end(1, "Closed: " + failure.getCause());
    }
  }

  /** Text comes in parts of which the last is marked. */
  @Override
  public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean isLast) {
    frame.append(part);
    if (isLast) {
      System.out.println(visible(field("sender") + ": " + field("message")));
      frame.setLength(0);
    }
    socket.request(1);
    return null;
  }

  @Override
  public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
    end(code == WebSocket.NORMAL_CLOSURE ? 0 : 1, "Closed: " + code + " " + reason);
    return null;
  }

  @Override
  public void onError(WebSocket socket, Throwable error) {
    end(1, "Closed: " + error);
  }

  /**
   * Reads one text out of the JSON in `frame`, because the JDK has no JSON. Inside of
   * a text every quotation mark has a backslash before it, so that what looks like
   * the name of a field is one.
   */
  private String field(String name) {
    String start = '"' + name + "\":\"";
    int at = frame.indexOf(start) + start.length();
    var text = new StringBuilder();
    for (char c; (c = frame.charAt(at++)) != '"'; ) {
      if (c != '\\') {
        text.append(c);
        continue;
      }
      c = frame.charAt(at++);
      int known = "bfnrt".indexOf(c);
      if (c == 'u') {
        text.append((char) Integer.parseInt(frame.substring(at, at += 4), 16));
      } else {
        text.append(known < 0 ? c : "\b\f\n\r\t".charAt(known));
      }
    }
    return text.toString();
  }

  /** Shows control characters, so that no stranger controls this terminal. */
  private static String visible(String text) {
    return CONTROL.matcher(text).replaceAll((found) -> String.format("\\\\u%04x", (int) found.group().charAt(0)));
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

  private static void end(int status, String text) {
    System.err.println(visible(text));
    System.exit(status);
  }
}
