// A network between two programs that can fail. A cut network ends all
// connections, new ones at once. On a stalled network nothing arrives and
// nobody is told: the bytes arrive after `resume()`, unless their connection
// ended.
import { startTcpProxy, type TcpProxy } from "./tcp_proxy.ts";

export interface CutProxy extends TcpProxy {
  /** Ends all connections, and each new one until `resume()`. */
  cut(): void;
  /**
   * Passes nothing on from now, not even the end of a connection. New
   * connections are accepted and wait: the program behind does not hear of them
   * yet.
   */
  stall(): void;
  resume(): void;
}

/** Starts a working network in front of a port of this machine. */
export function startCutProxy(port: number): CutProxy {
  let isCut = false;
  /** Resolves when the stall ends. */
  let stalled: PromiseWithResolvers<void> | undefined;

  const proxy = startTcpProxy(port, async () => {
    await flowing();
    if (isCut) return undefined;
    return async () => {
      await flowing();
      return "pass" as const;
    };
  });

  async function flowing(): Promise<void> {
    while (stalled) await stalled.promise;
  }

  function release(): void {
    stalled?.resolve();
    stalled = undefined;
  }

  function cut(): void {
    isCut = true;
    proxy.cut();
    release();
  }

  return {
    port: proxy.port,
    cut,
    stall() {
      isCut = false;
      stalled ??= Promise.withResolvers();
    },
    resume() {
      isCut = false;
      release();
    },
    async [Symbol.asyncDispose]() {
      cut();
      await proxy[Symbol.asyncDispose]();
    },
  };
}
