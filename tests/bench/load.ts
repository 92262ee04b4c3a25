// The load: one process that plays every client of one run over raw TCP and
// prints its figures as one line of JSON. It is a closed loop: a sender has at
// most `inFlight` messages out, and sends the next one when its own echo comes.
// Figures are printed only if every client received the same stream, with each
// message once and in order; otherwise it exits with 1.
import { Client, ROLL, type Room, START } from "./client.ts";
import { type DialectName, dialects } from "./dialects.ts";
import { readRedisCounts, type RedisCounts } from "./redis_counts.ts";
import { END, Stream } from "./stream.ts";

/** What goes on in a run; `inFlight` is per sender. */
export interface Shape {
  clients: number;
  senders: number;
  inFlight: number;
}

/** The only argument, as JSON. */
export interface Job extends Shape {
  /** Of the servers that have the room in common; clients take turns. */
  ports: number[];
  /** Whose CPU time is read. */
  pids: number[];
  /** Of the Redis to be asked for its counts, if there is one. */
  redisPort?: number;
  dialect: DialectName;
  warmUpMs: number;
  windowMs: number;
}

/** What was seen in the window. CPU times are null where there is no /proc. */
export interface Figures {
  /** By port. */
  deliveries: number[];
  windowMs: number;
  /** By pid. */
  cpuMs: (number | null)[];
  redis: RedisCounts | null;
  loadCpuMs: number | null;
  p50Ms: number;
  p99Ms: number;
}

/** For a handshake, a roll call and the last echoes. */
const PATIENCE_MS = 30_000;

/** After so long without bytes nobody is still being told of who joined. */
const QUIET_MS = 500;

/**
 * Of `listenMs`, for each client in the room. A read costs about what a write
 * costs the server: reading the bytes of several writes at once keeps the load
 * from being the slower side. What waits stays far below a socket's buffer.
 */
const LISTEN_MS_PER_CLIENT = 1 / 20;

function fail(reason: string): never {
  console.error(`load: ${reason}`);
  Deno.exit(1);
}

const delay = (ms: number) => new Promise((wake) => setTimeout(wake, ms));

/** Polls; false if it was not done in time. */
async function until(isDone: () => boolean, lateMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + lateMs;
  while (!isDone()) {
    if (performance.now() > deadlineMs) return false;
    await delay(5);
  }
  return true;
}

class Load {
  readonly #clients: Client[] = [];
  readonly #stream: Stream;
  readonly #room: Room;
  #isMeasuring = false;
  #latenciesMs: number[] = [];

  constructor(private readonly job: Job) {
    const { clients, senders, inFlight } = job;
    const dialect = dialects[job.dialect];
    this.#stream = new Stream(senders, dialect, {
      onMessage: (sender, end) => this.#clients[sender]!.echoes.push(end),
      slowest: () => Math.min(...this.#clients.map((it) => it.position)),
    });
    this.#room = {
      dialect,
      stream: this.#stream,
      inFlight,
      listenMs: clients * LISTEN_MS_PER_CLIENT,
      isSending: false,
      lastReadAtMs: 0,
      onEcho: (latencyMs) => {
        if (this.#isMeasuring) this.#latenciesMs.push(latencyMs);
      },
      lose: ({ index }, { message }) => fail(`client ${index}: ${message}`),
    };
  }

  get #senders(): Client[] {
    return this.#clients.slice(0, this.job.senders);
  }

  async run(): Promise<Figures> {
    await this.#connect();
    await this.#begin();
    await delay(this.job.warmUpMs);
    const figures = await this.#measure();
    await this.#finish();
    return figures;
  }

  async #connect(): Promise<void> {
    const { ports, clients, senders } = this.job;
    for (let index = 0; index < clients; index++) {
      const late = setTimeout(
        () => fail(`the server did not answer client ${index}'s handshake`),
        PATIENCE_MS,
      );
      const port = ports[index % ports.length]!;
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      conn.setNoDelay(true);
      const client = new Client(index, index < senders, this.#room, conn);
      await client.join();
      this.#clients.push(client);
      clearTimeout(late);
    }
  }

  /** Makes sure that all are in the room and have heard all from before. */
  async #begin(): Promise<void> {
    const isWelcome = () => this.#clients.every((it) => it.isWelcome);
    if (!await until(isWelcome, PATIENCE_MS)) fail("a hello was not answered");
    const first = this.#clients[0]!;
    const isAbsent = ({ roll }: Client) => roll === 0;
    const deadlineMs = performance.now() + PATIENCE_MS;
    // Called again for those who entered too late to hear it.
    for (let roll = 1; this.#clients.some(isAbsent); roll++) {
      if (performance.now() > deadlineMs) {
        const count = this.#clients.filter(isAbsent).length;
        fail(`${count} clients never heard a roll call`);
      }
      await first.say(`${ROLL}${roll}`, `roll-${roll}`);
      await until(() => !this.#clients.some(isAbsent), 500);
    }
    const isQuiet = () =>
      performance.now() - this.#room.lastReadAtMs > QUIET_MS;
    if (!await until(isQuiet, PATIENCE_MS)) {
      fail("the room does not fall quiet");
    }
    await first.say(START, START);
    // The first message must not overtake the start.
    const hasBegun = () => this.#clients.every((it) => it.hasStarted);
    if (!await until(hasBegun, PATIENCE_MS)) fail("lost: the start");
    this.#room.isSending = true;
    await Promise.all(this.#senders.map((it) => it.fill()));
  }

  /** Stops, waits for the last echoes, and for all to get to the stream's end. */
  async #finish(): Promise<void> {
    this.#room.isSending = false;
    const isOut = ({ sentAtMs }: Client) => sentAtMs.length > 0;
    if (!await until(() => !this.#senders.some(isOut), PATIENCE_MS)) {
      const { index, sent, sentAtMs } = this.#senders.find(isOut)!;
      const number = sent - sentAtMs.length;
      fail(`lost: message ${number} of sender ${index} never came back to it`);
    }
    await this.#clients[0]!.say(END, END);
    const isBehind = ({ position }: Client) => position < this.#stream.end;
    const isAtEnd = () =>
      this.#stream.hasEnded && !this.#clients.some(isBehind);
    if (!await until(isAtEnd, PATIENCE_MS)) {
      const behind = this.#clients.find(isBehind)?.index ?? "every client";
      fail(`lost: the end never came to ${behind}`);
    }
    for (const { index, sent } of this.#senders) {
      const heard = this.#stream.heard[index];
      if (heard !== sent) fail(`sender ${index}: ${heard} of ${sent} came`);
    }
  }

  #deliveries(): number[] {
    const { ports } = this.job;
    return ports.map((_, port) =>
      this.#clients.filter(({ index }) => index % ports.length === port)
        .map(({ position }) => this.#stream.messagesUpTo(position))
        .reduce((sum, count) => sum + count, 0)
    );
  }

  async #measure(): Promise<Figures> {
    const { pids, redisPort } = this.job;
    const ticks = clockTicksPerSecond();
    const read = async () => {
      const redis = redisPort === undefined
        ? null
        : await readRedisCounts(redisPort);
      return {
        redis,
        deliveries: this.#deliveries(),
        atMs: performance.now(),
        cpuMs: pids.map((pid) => cpuMs(pid, ticks)),
        loadMs: cpuMs(Deno.pid, ticks),
      };
    };
    const start = await read();
    this.#isMeasuring = true;
    await delay(this.job.windowMs);
    this.#isMeasuring = false;
    const end = await read();

    const latencies = this.#latenciesMs.sort((a, b) => a - b);
    const quantile = (q: number) =>
      latencies[Math.floor(latencies.length * q)] ??
        fail("no message came back within the window");
    const difference = (to: number | null, from: number | null) =>
      to === null || from === null ? null : to - from;
    return {
      deliveries: end.deliveries.map((it, i) => it - start.deliveries[i]!),
      windowMs: end.atMs - start.atMs,
      cpuMs: end.cpuMs.map((it, i) => difference(it, start.cpuMs[i]!)),
      redis: end.redis && start.redis && {
        calls: end.redis.calls - start.redis.calls,
        sentBytes: end.redis.sentBytes - start.redis.sentBytes,
      },
      loadCpuMs: difference(end.loadMs, start.loadMs),
      p50Ms: quantile(0.5),
      p99Ms: quantile(0.99),
    };
  }
}

/** User and system time that a process has used, all its threads together. */
export function cpuMs(pid: number, ticksPerSecond: number): number | null {
  if (ticksPerSecond === 0) return null;
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The name in parentheses may hold spaces. See proc_pid_stat(5).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 1000 / ticksPerSecond;
}

/** 0 where there is no /proc to read. */
export function clockTicksPerSecond(): number {
  if (Deno.build.os !== "linux") return 0;
  const { stdout } = new Deno.Command("getconf", { args: ["CLK_TCK"] })
    .outputSync();
  return Number(new TextDecoder().decode(stdout));
}

if (import.meta.main) {
  const job = JSON.parse(Deno.args[0]!) as Job;
  const figures = await new Load(job).run()
    .catch((error) => fail(String(error)));
  console.log(JSON.stringify(figures));
  Deno.exit(0);
}
