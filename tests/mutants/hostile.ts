// Servers that do a check harm if they can: each is a function that is handed a
// connection and does with it what no server should do. They are on raw TCP. The one
// behind `proxied` does right but for moments that dice choose, so that checks come
// far before it goes wrong.
import { acceptOf } from "../../chat/check/client.ts";
import { Connection, Ended } from "../../chat/check/connection.ts";
import { frame, join, Opcode } from "../../chat/check/frames.ts";
import type { Dice } from "../stress/dice.ts";
import { pause } from "../support/harness.ts";

/** Ends when it has done its harm; the connection is closed then. */
export type Attack = (tcp: Deno.TcpConn, dice: Dice) => Promise<void>;

export interface Hostile extends AsyncDisposable {
  readonly port: number;
  readonly url: URL;
}

/** Starts a server that does this to each of its clients. */
export function startHostile(attack: Attack, dice: Dice): Hostile {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const clients = new Set<Deno.TcpConn>();
  const serve = async () => {
    const handling: Promise<void>[] = [];
    try {
      while (true) {
        const tcp = await listener.accept();
        clients.add(tcp);
        handling.push(handle(tcp, () => attack(tcp, dice), clients));
      }
    } catch (error) {
      if (!isEnd(error)) throw error;
    }
    await Promise.all(handling);
  };
  const serving = serve();
  return {
    port,
    url: new URL(`ws://127.0.0.1:${port}/`),
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const tcp of clients) tcp[Symbol.dispose]();
      await serving;
    },
  };
}

async function handle(
  tcp: Deno.TcpConn,
  attack: () => Promise<void>,
  clients: Set<Deno.TcpConn>,
): Promise<void> {
  try {
    tcp.setNoDelay();
    await attack();
  } catch (error) {
    if (!isEnd(error)) throw error;
  } finally {
    clients.delete(tcp);
    tcp[Symbol.dispose]();
  }
}

/** Whether the check, or the end of the test, closed the connection. */
function isEnd(error: unknown): boolean {
  return error instanceof Ended || [
    Deno.errors.BadResource,
    Deno.errors.Interrupted,
    Deno.errors.BrokenPipe,
    Deno.errors.ConnectionReset,
    Deno.errors.ConnectionAborted,
    Deno.errors.NotConnected,
  ].some((kind) => error instanceof kind);
}

export function randomBytes(
  dice: Dice,
  count: number,
): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: count }, () => dice.below(256));
}

export async function write(tcp: Deno.Conn, bytes: Uint8Array | string) {
  await new Connection(tcp).write(
    typeof bytes === "string" ? Uint8Array.from(bytes, codeOf) : bytes,
    Infinity,
  );
}

function codeOf(char: string): number {
  return char.charCodeAt(0);
}

/** Reads and drops what comes until the client closes. */
export async function untilClosed(tcp: Deno.Conn): Promise<void> {
  const chunk = new Uint8Array(65_536);
  while (await tcp.read(chunk) !== null);
}

/** Answers the handshake rightly, with these lines besides. */
export async function upgrade(tcp: Deno.Conn, more: string[] = []) {
  const head = await new Connection(tcp).readHead(Infinity);
  const key = /^sec-websocket-key: *(.*)\r$/im.exec(head)?.[1] ?? "";
  const lines = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${await acceptOf(key)}`,
    ...more,
  ];
  await write(tcp, [...lines, "", ""].join("\r\n"));
}

/** A server's frame. */
export function sent(
  opcode: number,
  payload: string | Uint8Array = "",
  how: Parameters<typeof frame>[2] = {},
): Uint8Array<ArrayBuffer> {
  return frame(opcode, payload, { masked: false, ...how });
}

/** Answers the handshake, and then sends these bytes again and again. */
export function flood(bytes: Uint8Array, first = new Uint8Array()): Attack {
  const times = Math.max(1, Math.floor(65_536 / bytes.length));
  const many = new Uint8Array(times * bytes.length);
  for (let i = 0; i < times; i++) many.set(bytes, i * bytes.length);
  return async (tcp) => {
    await upgrade(tcp);
    await write(tcp, first);
    while (true) await write(tcp, many);
  };
}

/** Sends these bytes one at a time, for ever, with a pause after each. */
export function drip(text: (round: number) => Uint8Array | string): Attack {
  return async (tcp) => {
    for (let round = 0;; round++) {
      for (const byte of text(round)) {
        await write(tcp, typeof byte === "string" ? byte : Uint8Array.of(byte));
        await pause(50);
      }
    }
  };
}

/** Closing while bytes wait to be read resets the connection. */
export async function reset(tcp: Deno.Conn): Promise<void> {
  await tcp.read(new Uint8Array(1));
}

/** What a proxy does to one direction of a connection when the moment has come. */
const HARMS: Record<string, (dice: Dice, bytes: Uint8Array) => Uint8Array> = {
  close: (_, bytes) => bytes.subarray(0, bytes.length >> 1),
  noise: (dice, bytes) => join(bytes, randomBytes(dice, 200)),
  bits: (dice, bytes) => {
    for (let i = 0; i < 3; i++) {
      bytes[dice.below(bytes.length)]! ^= 1 << dice.below(8);
    }
    return bytes;
  },
  loss: (dice, bytes) => bytes.slice(dice.below(bytes.length)),
  twice: (_, bytes) => join(bytes, bytes),
  ping: (_, bytes) => join(sent(Opcode.ping, "x".repeat(200)), bytes),
};

/** Passes bytes on to a right server, and does harm to some of its answers. */
export function proxied(port: number): Attack {
  return async (tcp, dice) => {
    using right = await Deno.connect({ hostname: "127.0.0.1", port });
    const chunk = new Uint8Array(65_536);
    const forward = pass(tcp, right);
    try {
      for (let count; (count = await right.read(chunk)) !== null;) {
        const bytes = chunk.slice(0, count);
        const harm = dice.chance(0.02) ? dice.pick(Object.keys(HARMS))! : "";
        await write(tcp, HARMS[harm]?.(dice, bytes) ?? bytes);
        if (harm === "close") break;
      }
    } finally {
      tcp[Symbol.dispose]();
      await forward;
    }
  };
}

async function pass(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const chunk = new Uint8Array(65_536);
  try {
    for (let count; (count = await from.read(chunk)) !== null;) {
      await write(to, chunk.subarray(0, count));
    }
  } catch (error) {
    if (!isEnd(error)) throw error;
  } finally {
    to[Symbol.dispose]();
  }
}
