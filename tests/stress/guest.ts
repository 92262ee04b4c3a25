// Owns what clients of both dialects share: a number, dice, connections and the
// judgement on how each of them ended. Never speaks a dialect.
// Invariant: a connection ends as DESIGN 3.3 says, or because the client itself
// or the death of the server ended it; any other end is a fault.
import { Dice } from "./dice.ts";
import type { Mark, RoomRecord } from "./ledger.ts";
import { HttpLine, PollLine, StreamLine } from "./http_line.ts";
import { type Ending, type Line, NativeLine, RawLine } from "./line.ts";
import type { Program } from "./program.ts";
import type { World } from "./world.ts";

/** What connections are made of; plain ones are WebSockets. */
const PLAIN_KINDS = { raw: 3, native: 1 };
const KINDS = { raw: 4, native: 1, stream: 1, poll: 1 };
const LINES = {
  raw: RawLine,
  native: NativeLine,
  stream: StreamLine,
  poll: PollLine,
};

/** Streams of the seed from here on choose nodes. */
const NODE_STREAMS = 1_000_000;

/** A message sent and not seen again must not be older than this. */
const ECHO_DEADLINE_MS = 15_000;

/** How things were when a connection was made; what changed may end it. */
export interface Start {
  readonly node: Program;
  /** How often this one had been started. */
  readonly generation: number;
  /** How often any had been ended. */
  readonly endings: number;
  readonly atMs: number;
}

/** One connection, from the client's side. */
export class Call {
  line: Line | undefined;
  hasEnded = false;
  isClosing = false;
  isDropped = false;
  hasStalled = false;
  /** A newer connection of the same client takes over. */
  isSuperseded = false;

  constructor(readonly start: Start) {}

  /** Whether the client still acts on it. */
  get isOpen(): boolean {
    return !this.hasEnded && !this.isClosing && !this.isDropped &&
      !this.isSuperseded;
  }

  send(text: string): void {
    this.line?.send(text);
  }

  describe(): string {
    const { line, start: { node, ...start }, ...rest } = this;
    const what = { port: node.port, ...start, ...rest };
    return `${line?.constructor.name} ${JSON.stringify(what)}`;
  }
}

export abstract class Guest<C extends Call = Call> {
  readonly dice: Dice;
  /** Chooses nodes, so that how many there are changes nothing else. */
  readonly #nodeDice: Dice;
  readonly room: RoomRecord;
  /** Messages are numbered from 1. */
  sent = 0;
  protected call: C | undefined;
  /** Some often fall asleep; while there are few, all of them in one room. */
  protected readonly isSleeper: boolean;
  /** It went away for good, with messages that may or may not be stored. */
  hasLeft = false;
  readonly #calls = new Set<C>();

  constructor(
    protected readonly world: World,
    readonly number: number,
    roomName: string,
  ) {
    this.dice = new Dice(world.seed, number);
    this.#nodeDice = new Dice(world.seed, number + NODE_STREAMS);
    this.room = world.ledger.room(roomName);
    this.isSleeper = number % 6 === 2;
  }

  protected abstract readonly protocol: string | undefined;
  protected abstract newCall(start: Start): C;
  protected abstract hear(call: C, text: string): void;
  /** Connects and says what has to be said; false if that failed. */
  protected abstract join(): Promise<boolean>;
  /** Does one thing. */
  protected abstract act(call: C): void | Promise<void>;
  /** Brings everything to its end, when the run is over. */
  protected abstract settle(): Promise<void>;

  /** Everything this client does; returns when it has left or settled. */
  async live(): Promise<void> {
    const { dice, world } = this;
    while (!world.isOver) {
      if (!await this.join()) {
        await world.pause(dice.between(10, 150));
        continue;
      }
      while (!world.isOver && this.call?.isOpen) {
        await world.pause(dice.below(world.idleMs));
        if (!world.isOver && this.call?.isOpen) await this.act(this.call);
        if (this.hasLeft) return;
      }
      await world.pause(dice.chance(0.5) ? 0 : dice.below(300));
    }
    if (!world.fault) await this.settle();
  }

  /** Ends all connections without a word; what follows is not judged. */
  hangUp(): void {
    for (const call of this.#calls) this.drop(call);
  }

  /** Opens a connection; undefined if the server was down at that moment. */
  protected async dial(): Promise<C | undefined> {
    const { dice, world, protocol } = this;
    const kind = protocol === undefined
      ? dice.choose(PLAIN_KINDS)
      : dice.choose(KINDS);
    const node = world.pickNode(this.#nodeDice);
    const call = this.newCall({
      node,
      generation: node.generation,
      endings: world.endings,
      atMs: Date.now(),
    });
    try {
      const line = await LINES[kind].open({
        port: node.port,
        nextPort: () => world.pickNode(this.#nodeDice).port,
        path: `/ws?room=${this.room.name}`,
        ...(protocol !== undefined && { protocol }),
        hear: (text) => this.#guard(() => this.hear(call, text)),
      });
      call.line = line;
      line.ended.then((ending) => {
        call.hasEnded = true;
        this.#calls.delete(call);
        this.#guard(() => this.#judge(call, ending));
      });
    } catch (error) {
      if (this.#isUnbroken(call) && !this.hasLogFailed(call)) {
        throw this.fault(`could not connect: ${error}`);
      }
      return undefined;
    }
    this.#calls.add(call);
    world.tally.connections++;
    if (kind === "stream") world.tally.streams++;
    if (kind === "poll") world.tally.polls++;
    if (world.fault) this.drop(call);
    return call;
  }

  protected drop(call: C, halfOf?: string): void {
    call.isDropped = true;
    call.line?.drop(halfOf);
    this.world.tally.drops++;
  }

  protected close(call: C): void {
    call.isClosing = true;
    call.line?.close();
    this.world.tally.closes++;
  }

  protected stall(call: C): void {
    call.hasStalled = true;
    call.line?.stall();
    this.world.tally.stalls++;
  }

  /** Waits until none of its connections is left. */
  async gone(): Promise<void> {
    await this.world.until(
      () => this.#calls.size === 0,
      () => this.about("the end of all connections"),
    );
  }

  protected async ended(call: C): Promise<void> {
    call.line?.resume();
    await this.world.until(
      () => call.hasEnded,
      () => this.about("the end of a connection"),
    );
  }

  /** A message has not come back for too long, though nothing was in its way. */
  protected checkPatience(sentAtMs: number | undefined): void {
    if (sentAtMs === undefined) return;
    if (performance.now() - sentAtMs < ECHO_DEADLINE_MS) return;
    if (this.world.hasLogFailed(Date.now() - ECHO_DEADLINE_MS)) return;
    throw this.fault("a message was neither shown nor refused");
  }

  /** Nobody is shown a message of its own before it sent it. */
  protected checkSent({ author, n }: Mark): void {
    if (author === this.number && n > this.sent) {
      throw this.fault(`shown its message ${n} before it was sent`);
    }
  }

  /** Runs what a connection calls; what it throws is told with its number. */
  #guard(body: () => void): void {
    try {
      body();
    } catch (cause) {
      const { message } = cause as Error;
      const isTold = message.startsWith(this.about(""));
      const what = isTold ? message : this.about(message);
      this.world.fail(new Error(what, { cause }));
    }
  }

  about(what: string): string {
    return `client ${this.number} in ${this.room.name}: ${what}`;
  }

  protected fault(what: string): Error {
    return new Error(this.about(what));
  }

  /** Whether all that it speaks with has been up since, without a break. */
  #isUnbroken({ start, line }: C): boolean {
    const { node, generation, endings } = start;
    // Requests go to any node.
    const isAnyLeft = line instanceof HttpLine &&
      endings !== this.world.endings;
    return node.isUp && node.generation === generation && !isAnyLeft;
  }

  /** Whether a server that it speaks with was told to stop since. */
  protected wasStopped(call: C): boolean {
    const { node, generation } = call.start;
    return node.stoppedGeneration >= generation ||
      (call.line instanceof HttpLine && !this.#isUnbroken(call));
  }

  /** Whether what failed since may be put down to the log. */
  protected hasLogFailed({ start }: C): boolean {
    return this.world.hasLogFailed(start.atMs);
  }

  /** How often history may have been lost meanwhile. */
  protected emptyingsDuring({ start }: C): number {
    return this.world.emptyingsSince(start.atMs);
  }

  #judge(call: C, { code, reason }: Ending): void {
    const { tally } = this.world;
    const isUnbroken = this.#isUnbroken(call);
    const hasLogFailed = this.hasLogFailed(call);
    const isExpected = () => {
      switch (code) {
        case undefined:
          // Of those that the server ends some are cut off: Deno does so with
          // whoever still sends while the close frame has not left.
          return call.isDropped || !isUnbroken || call.hasStalled ||
            call.isSuperseded || hasLogFailed;
        case 1000:
        case 1005:
          return call.isClosing || call.isDropped;
        case 1001:
          return this.wasStopped(call);
        case 1013:
          return reason === "reading too slowly" ||
            (reason === "the log cannot be used" && hasLogFailed) ||
            // Who was catching up just then is told the latter.
            (/^(the room's history was lost|history moved on)$/.test(reason) &&
              this.emptyingsDuring(call) > 0);
        case 4002:
          return this.hasReturned(call);
        default:
          return false;
      }
    };
    const isSlow = reason === "reading too slowly";
    if (isSlow) tally.evictions++;
    if (isSlow && isUnbroken && !call.hasStalled) tally.hastyEvictions++;
    if (code === undefined && isUnbroken && !call.isDropped) tally.cutOffs++;
    if (code === 4002) tally.takeovers++;
    if (isExpected()) return;
    throw this.fault(
      `its connection ended with ${code} "${reason}": ${call.describe()}`,
    );
  }

  /** Whether it may have come back under the same identity. */
  protected hasReturned(call: C): boolean {
    return call.isSuperseded;
  }
}
