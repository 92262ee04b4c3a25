// Owns a proxy as some networks have them: it lets no WebSocket through and, if
// it is told so, collects streams of events instead of passing them on; and it
// can lose all its connections. Knows of HTTP only how a request begins.
// Invariant: disposing of it ends every connection it made.

export interface BlockingProxy extends AsyncDisposable {
  readonly port: number;
  readonly http: string;
  /** Lets handshakes through from now on. */
  unblock(): void;
  /** Ends every connection, whatever was on its way. */
  cut(): void;
  /** The first line of each request that began a chunk of bytes. */
  readonly requests: string[];
  /** Bytes that came, from both sides. */
  readonly passedBytes: number;
}

/** Starts a proxy before a server on this machine. */
export function startBlockingProxy(
  port: number,
  { holdsStreams = false } = {},
): BlockingProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const requests: string[] = [];
  let isBlocking = true;
  let passedBytes = 0;

  const accepting = (async () => {
    for await (const client of listener) join(client);
  })();

  async function join(client: Deno.Conn): Promise<void> {
    open.add(client);
    try {
      const server = await Deno.connect({ hostname: "127.0.0.1", port });
      open.add(server);
      const held = { isHeld: false };
      pass(client, server, (text) => {
        const [line = ""] = text.split("\r\n", 1);
        if (/^[A-Z]+ \S+ HTTP\/1\.1$/.test(line)) requests.push(line);
        held.isHeld = holdsStreams && /^GET \S*\/events\b/.test(line);
        return !(isBlocking && /^upgrade: websocket\r$/im.test(text));
      });
      pass(server, client, () => true, held);
    } catch {
      close(client);
    }
  }

  /** Passes bytes on, for as long as `mayPass` says so. */
  async function pass(
    from: Deno.Conn,
    to: Deno.Conn,
    mayPass: (text: string) => boolean,
    held = { isHeld: false },
  ): Promise<void> {
    const chunk = new Uint8Array(65_536);
    const decoder = new TextDecoder("latin1");
    try {
      for (let n; (n = await from.read(chunk)) !== null;) {
        const bytes = chunk.subarray(0, n);
        passedBytes += n;
        if (!mayPass(decoder.decode(bytes))) break;
        if (held.isHeld) continue;
        for (let at = 0; at < n;) at += await to.write(bytes.subarray(at));
      }
    } catch {
      // One of the two ended it.
    }
    close(from);
    close(to);
  }

  function close(connection: Deno.Conn): void {
    if (open.delete(connection)) connection.close();
  }

  return {
    port: listener.addr.port,
    http: `http://127.0.0.1:${listener.addr.port}`,
    requests,
    get passedBytes() {
      return passedBytes;
    },
    unblock: () => isBlocking = false,
    cut: () => [...open].forEach(close),
    async [Symbol.asyncDispose]() {
      listener.close();
      [...open].forEach(close);
      await accepting;
    },
  };
}
