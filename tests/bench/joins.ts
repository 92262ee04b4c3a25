// What a join costs: many clients enter one room as fast as they are let in,
// here and, in the same run, at a bare Deno program that does nothing but answer
// the same handshakes. Prints the rate, the server's CPU time and memory for each
// client, and what is sent; the ratios are the figures that count, because the
// load takes the machine's time too. Never sets a limit on speed.
import { parseArgs } from "node:util";
import { frame, Opcode } from "../../chat/check/frames.ts";
import { freePort, start, stop, untilListening } from "./processes.ts";
import { clockTicksPerSecond, cpuMs } from "./load.ts";
import { partylineCommand } from "./servers.ts";
import { cell, median, printRow } from "./table.ts";

const SERVER_CPU = 0;
const READ_BYTES = 64 * 1024;

/** When nothing was sent to anybody for so long, all was sent. */
const SILENCE_MS = 1_500;

const USAGE = `Usage: deno task bench:joins [options]

  --clients N    that enter the room (default 2000)
  --at-once N    handshakes under way at a time (default 100)
  --warm-up N    that come and go before (default 1000)
  --rounds N     runs of each server; the median counts (default 3)
  --data DATA    where our server stores: a new file, or :memory: or redis:…
  --help         this text`;

const { values } = parseArgs({
  options: {
    clients: { type: "string", default: "2000" },
    "at-once": { type: "string", default: "100" },
    "warm-up": { type: "string", default: "1000" },
    rounds: { type: "string", default: "3" },
    data: { type: "string", default: "" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  Deno.exit(0);
}
const CLIENTS = Number(values.clients);
const AT_ONCE = Number(values["at-once"]);
const ROUNDS = Number(values.rounds);

interface Figures {
  /** Until the last of them was in. */
  joinMs: number;
  /** The server's, until all was sent. */
  cpuMs: number;
  bytes: number;
  memoryBytes: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const HELLO = frame(Opcode.text, '{"type":"hello","history":0}');

/** All bytes that came, and when the last ones did. */
const read = { bytes: 0, atMs: 0 };

/** Enters and returns when it was welcome; reads until it is closed. */
async function enter(port: number): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const head = "GET /ws HTTP/1.1\r\n" +
    `Host: 127.0.0.1:${port}\r\n` +
    "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Protocol: partyline.v1\r\nSec-WebSocket-Version: 13\r\n" +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  await conn.write(encoder.encode(head));
  const bytes = new Uint8Array(1024);
  let answer = "";
  while (!answer.includes("\r\n\r\n")) {
    const count = await conn.read(bytes) ?? 0;
    if (count === 0) throw new Error("The server ended a handshake.");
    answer += decoder.decode(bytes.subarray(0, count));
  }
  if (!answer.startsWith("HTTP/1.1 101 ")) throw new Error(answer);
  await conn.write(HELLO);
  // The welcome is the first frame: its first bytes are enough.
  await count(conn, new Uint8Array(READ_BYTES));
  listen(conn);
  return conn;
}

/** Shared: nobody looks at what is in it. */
const ignored = new Uint8Array(READ_BYTES);

async function count(conn: Deno.TcpConn, into: Uint8Array): Promise<void> {
  const count = await conn.read(into);
  if (count === null) throw new Error("The server closed a connection.");
  read.bytes += count;
  read.atMs = performance.now();
}

async function listen(conn: Deno.TcpConn): Promise<void> {
  try {
    while (true) await count(conn, ignored);
  } catch {
    // It was closed, at the end of the round.
  }
}

function memoryOf(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

/** Until the server's code is compiled, which takes longer than to run it. */
async function warmUp(port: number): Promise<void> {
  let left = Number(values["warm-up"]);
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (left-- > 0) (await enter(port)).close();
  }));
  read.atMs = performance.now();
  await silence();
}

async function silence(): Promise<void> {
  while (performance.now() - read.atMs < SILENCE_MS) {
    await new Promise((wake) => setTimeout(wake, 100));
  }
}

async function measure(command: string[], port: number): Promise<Figures> {
  const child = await start(command, SERVER_CPU, "null");
  const conns: Deno.TcpConn[] = [];
  try {
    await untilListening(child, port);
    const ticks = clockTicksPerSecond();
    await warmUp(port);
    const memory = memoryOf(child.pid);
    const cpu = () => cpuMs(child.pid, ticks) ?? NaN;
    const beforeMs = cpu();
    read.bytes = 0;
    const startMs = performance.now();
    let left = CLIENTS;
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) conns.push(await enter(port));
    }));
    const joinMs = performance.now() - startMs;
    await silence();
    return {
      joinMs,
      cpuMs: cpu() - beforeMs,
      bytes: read.bytes,
      memoryBytes: memoryOf(child.pid) - memory,
    };
  } finally {
    for (const conn of conns) conn.close();
    await stop(child);
  }
}

const COLUMNS = [
  "server".padEnd(12),
  "joins/s",
  "ratio",
  "joins/CPU s",
  "ratio",
  "CPU ms in all",
  "KB each",
  "bytes sent/join",
];

function print(name: string, rounds: Figures[], rivals: Figures[]): void {
  const middle = (value: (round: Figures) => number, digits: number) =>
    cell(median(rounds.map(value)), digits);
  const ratio = (value: (round: Figures) => number) =>
    cell(median(rounds.map((it, i) => value(it) / value(rivals[i]!))), 2);
  const rate = ({ joinMs }: Figures) => CLIENTS * 1000 / joinMs;
  const perCpu = ({ cpuMs }: Figures) => CLIENTS * 1000 / cpuMs;
  printRow(COLUMNS, [
    name,
    middle(rate, 0),
    ratio(rate),
    middle(perCpu, 0),
    ratio(perCpu),
    middle((it) => it.cpuMs, 0),
    middle((it) => it.memoryBytes / CLIENTS / 1000, 1),
    middle((it) => it.bytes / CLIENTS, 0),
  ]);
}

const partyline = await partylineCommand();
const bare: Figures[] = [];
const ours: Figures[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const port = freePort();
  const script = `${import.meta.dirname}/peers/bare.ts`;
  const command = [Deno.execPath(), "run", "--allow-net", script, `${port}`];
  bare.push(await measure(command, port));
  const folder = await Deno.makeTempDir();
  const data = values.data || `${folder}/partyline.db`;
  const other = freePort();
  ours.push(await measure(partyline(other, data), other));
  await Deno.remove(folder, { recursive: true });
}
printRow(COLUMNS, COLUMNS);
print("bare Deno", bare, bare);
print("partyline", ours, bare);
Deno.exit(0);
