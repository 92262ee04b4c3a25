// A proxy like those of some networks: it blocks WebSockets and, on demand,
// collects streams of events instead of passing them on; it can also drop all
// its connections. No client ever sees the collected bytes. The proxy knows of
// HTTP only how a request begins.
import { startTcpProxy, type TcpProxy } from "./tcp_proxy.ts";

export interface BlockingProxy extends TcpProxy {
  readonly http: string;
  /** Lets handshakes through from now on. */
  unblock(): void;
  /** The first line of each request that began a chunk of bytes. */
  readonly requests: string[];
  /** Bytes that came from both sides. */
  readonly passedBytes: number;
}

/** Starts a proxy before a server on this machine. */
export function startBlockingProxy(
  port: number,
  { holdsStreams = false } = {},
): BlockingProxy {
  const requests: string[] = [];
  let isBlocking = true;
  let passedBytes = 0;

  const proxy = startTcpProxy(port, () => {
    const decoder = new TextDecoder("latin1");
    let isHeld = false;
    return (bytes, from) => {
      passedBytes += bytes.length;
      if (from === "server") return isHeld ? "drop" : "pass";
      const text = decoder.decode(bytes);
      const [line = ""] = text.split("\r\n", 1);
      if (/^[A-Z]+ \S+ HTTP\/1\.1$/.test(line)) requests.push(line);
      isHeld = holdsStreams && /^GET \S*\/events\b/.test(line);
      const isHandshake = /^upgrade: websocket\r$/im.test(text);
      return isBlocking && isHandshake ? "end" : "pass";
    };
  });

  return {
    ...proxy,
    http: `http://127.0.0.1:${proxy.port}`,
    requests,
    get passedBytes() {
      return passedBytes;
    },
    unblock: () => isBlocking = false,
  };
}
