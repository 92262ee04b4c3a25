// Shared by the tests' proxies: bytes pass between each client and one port of
// this machine as long as a gate lets them. Disposing of a proxy ends every
// connection and waits for what was under way.

/**
 * Called with each chunk before it is passed on, and with no bytes at the end
 * of its side. Decides whether the bytes pass, are lost, or end the connection.
 */
export type Gate = (
  bytes: Uint8Array,
  from: "client" | "server",
) => Fate | Promise<Fate>;

export type Fate = "pass" | "drop" | "end";

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Ends every connection, even with bytes on their way. */
  cut(): void;
}

/**
 * Starts a proxy before a port. Each new client gets a gate; a client without a
 * gate is disconnected at once.
 */
export function startTcpProxy(
  port: number,
  admit: () => Gate | undefined | Promise<Gate | undefined>,
): TcpProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const joined = new Set<Promise<void>>();

  const accepting = (async () => {
    for await (const client of listener) {
      open.add(client);
      const ended = join(client).finally(() => {
        close(client);
        joined.delete(ended);
      });
      joined.add(ended);
    }
  })();

  async function join(client: Deno.Conn): Promise<void> {
    const gate = await admit();
    // The client may have been cut off meanwhile.
    if (!gate || !open.has(client)) return;
    const server = await Deno.connect({ hostname: "127.0.0.1", port })
      .catch(() => undefined);
    if (!server) return;
    open.add(server);
    if (!open.has(client)) close(server);
    await Promise.all([
      pass(client, server, (bytes) => gate(bytes, "client")),
      pass(server, client, (bytes) => gate(bytes, "server")),
    ]);
  }

  async function pass(
    from: Deno.Conn,
    to: Deno.Conn,
    decide: (bytes: Uint8Array) => Fate | Promise<Fate>,
  ): Promise<void> {
    const chunk = new Uint8Array(65_536);
    try {
      while (true) {
        const n = await from.read(chunk).catch(() => null) ?? 0;
        const bytes = chunk.subarray(0, n);
        const fate = await decide(bytes);
        if (n === 0 || fate === "end") break;
        if (fate === "drop") continue;
        for (let at = 0; at < n;) at += await to.write(bytes.subarray(at));
      }
    } catch {
      // The other end is gone.
    }
    close(from);
    close(to);
  }

  function close(connection: Deno.Conn): void {
    if (open.delete(connection)) connection.close();
  }

  const cut = () => [...open].forEach(close);

  return {
    port: listener.addr.port,
    cut,
    async [Symbol.asyncDispose]() {
      listener.close();
      cut();
      await accepting;
      await Promise.all(joined);
    },
  };
}
