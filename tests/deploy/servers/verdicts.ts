// What `partyline check` finds in servers that nobody here wrote, each finding with
// its reason: a fault that is documented, or can be read in the source of the version
// named. A check without such a reason behind its finding would be wrong itself.
import type { Findings } from "../../check/findings.ts";
import type { ProgramName } from "../real_servers.ts";

interface Known {
  /** As the program prints them: of the library first. */
  versions: string;
  /** Of the protocol, in the echo and in the chat. */
  protocol: Findings;
  echo: Findings;
  /** Of the chat's program, unless the reason names another. */
  chat: Findings;
  /** Checks that are not tried on the chat. */
  without?: readonly string[];
}

/** A server that does not look at a thing at all is asked once (`needs`). */
function oneFault(first: string, ...more: string[]): Findings {
  const skipped = more.map((id) => [id, "skipped"] as const);
  return { [first]: "failed", ...Object.fromEntries(skipped) };
}

const noUtf8Check = oneFault(
  "utf-8-wrong-byte",
  "utf-8-cut-off",
  "utf-8-overlong",
  "utf-8-surrogate",
  "utf-8-too-high",
  "utf-8-wrong-in-fragments",
);

const uvicorn: Pick<Known, "echo"> = {
  echo: {
    // WebSocketEndpoint.decode takes an empty text for none, and looks for bytes:
    // starlette/endpoints.py, line 124. Mended in Kludex/starlette#3372.
    "length-0": "failed",
  },
};

export const VERDICTS: Record<ProgramName, Known> = {
  "ws in Node": {
    versions: "8.23.0",
    protocol: {
      // Node demands a host (`requireHostHeader`), but not of a request that is
      // upgraded: `parserOnIncoming` in lib/_http_server.js returns before. And
      // `handleUpgrade` in lib/websocket-server.js of ws looks at the method, the key,
      // the version and Upgrade alone.
      "handshake-without-host": "failed",
      "handshake-http-1-0": "failed",
    },
    echo: {},
    chat: {},
  },
  "websockets": {
    versions: "10.4",
    protocol: {
      // `check_request` raises InvalidHeaderValue, which becomes a 400 without the
      // field: legacy/handshake.py, line 101.
      "handshake-version-told": "failed",
      // "… doesn't perform Host and Origin checks": legacy/handshake.py, line 43.
      "handshake-without-host": "failed",
    },
    echo: {},
    chat: {},
  },
  "aiohttp": {
    versions: "3.8.4",
    protocol: {
      // HTTPBadRequest without the field: web_ws.py, line 186.
      "handshake-version-told": "failed",
      // `_handshake` looks at Upgrade, Connection, the version and the key alone:
      // web_ws.py, lines 144 to 194.
      "handshake-without-host": "failed",
      "handshake-http-1-0": "failed",
      // `receive` answers with the code that `close` has by default: web_ws.py,
      // line 440.
      "close-code-sent-back": "warned",
      // The reader serves clients, too, and asks for no mask at either end:
      // http_websocket.py, line 487.
      "unmasked-text": "failed",
      "unmasked-ping": "failed",
    },
    echo: {},
    chat: {
      // `tell` waits until each client has taken the message.
      "chat-not-reading": "failed",
    },
  },
  "FastAPI on uvicorn with websockets": {
    versions: "0.17.6 10.4 0.92.0 0.26.1",
    protocol: {
      // As in websockets above.
      "handshake-version-told": "failed",
      // uvicorn hands the request on as one of HTTP/1.1, whatever it was:
      // protocols/http/h11_impl.py, line 241.
      "handshake-http-1-0": "failed",
    },
    ...uvicorn,
    chat: {
      // A message to a client that is just leaving raises in `broadcast`, and that
      // ends the speaker, not the leaver. The speaker stays in the list, so that all
      // later messages raise as well: the room is dead until the server restarts.
      ...oneFault(
        "chat-leave-broadcast",
        "chat-leave-broadcast-told",
        "chat-not-reading",
        "chat-garbage",
        "chat-serves-at-end",
      ),
    },
  },
  "FastAPI on uvicorn with wsproto": {
    versions: "0.17.6 1.2.0 0.92.0 0.26.1",
    protocol: {
      // `_process_connection_request` asks whether there is a key, not what it is:
      // wsproto/handshake.py, line 232; the version of HTTP is not looked at.
      "handshake-short-key": "warned",
      "handshake-http-1-0": "failed",
      // wsproto has no limit, and gives a frame to uvicorn in the pieces that arrive.
      "message-too-large": "warned",
    },
    ...uvicorn,
    chat: {
      // Kludex/uvicorn#997: the program is not told of a connection that ended
      // without a close frame (protocols/websockets/wsproto_impl.py, line 67).
      "chat-leave-lost": "failed",
      "chat-leave-broadcast-told": "skipped",
    },
    // Its many long messages take wsproto, which is slow, too long on a busy machine.
    without: ["chat-not-reading"],
  },
  "gorilla/websocket": {
    versions: "go1.19.8",
    protocol: {
      // gorilla/websocket#617, mended after 1.5.0: server.go, line 157.
      "handshake-short-key": "warned",
      // `Upgrade` does not look at the request's version: server.go, line 125.
      "handshake-http-1-0": "failed",
      // "It is the application's responsibility to ensure that text messages are
      // valid UTF-8": doc.go, line 80.
      ...noUtf8Check,
      // There is no limit unless SetReadLimit is called: conn.go, line 1109.
      "message-too-large": "warned",
    },
    echo: {},
    chat: {
      // `tell` waits until each client has taken the message.
      "chat-not-reading": "failed",
    },
  },
  // Mojolicious takes nearly all that a client sends as it comes.
  "Mojolicious": {
    versions: "9.31",
    protocol: {
      // `is_handshake` looks at Upgrade alone: Mojo/Message/Request.pm, line 96. And
      // `server_handshake` takes any key, or none: Mojo/WebSocket.pm, line 145.
      "handshake-without-key": "failed",
      "handshake-short-key": "warned",
      ...oneFault("handshake-version-25", "handshake-version-told"),
      "handshake-without-version": "failed",
      "handshake-without-connection": "failed",
      "handshake-without-host": "failed",
      "handshake-http-1-0": "failed",
      // `parse_frame` returns the bits, the opcode and the mask unchecked:
      // Mojo/WebSocket.pm, lines 90 to 143.
      "ping-126-bytes": "failed",
      "ping-fragmented": "failed",
      "close-126-bytes": "failed",
      "unmasked-text": "failed",
      "unmasked-ping": "failed",
      ...oneFault("reserved-bit-1", "reserved-bit-2", "reserved-bit-3"),
      ...oneFault(
        "reserved-opcode-3",
        "reserved-opcode-7",
        "reserved-opcode-11",
        "reserved-opcode-15",
      ),
      // `parse_message` joins what comes, whatever its opcode, and sends any code
      // back: Mojo/Transaction/WebSocket.pm, lines 66 to 105.
      "fragments-without-start": "failed",
      "fragments-interrupted": "failed",
      ...oneFault("close-code-1005", "close-code-1006", "close-code-1015"),
      "close-code-999": "warned",
      "close-code-1004": "warned",
      "close-code-5000": "warned",
      // `server_read` goes on with the next frame: the same file, line 124.
      "close-then-data": "failed",
      // The event `text` is given the bytes; `message` gives undef for wrong ones.
      ...noUtf8Check,
    },
    echo: {},
    chat: {},
  },
};
