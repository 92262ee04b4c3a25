// Owns what clients of both dialects share: a number, dice, connections and the
// judgement on how each of them ended. Never speaks a dialect.
// Invariant: a connection ends as DESIGN 3.3 says, or because the client itself
// or the death of the server ended it; any other end is a fault.
import type { MessageEvent } from "../../chat/protocol.ts";
import { Dice } from "./dice.ts";
import type { Entry, RoomRecord } from "./ledger.ts";
import { PollLine, StreamLine } from "./http_line.ts";
import { type Ending, type Line, NativeLine, RawLine } from "./line.ts";
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

/** A message sent and not seen again must not be older than this. */
const ECHO_DEADLINE_MS = 15_000;

/** One connection, from the client's side. */
export class Call {
  line: Line | undefined;
  hasEnded = false;
  isClosing = false;
  isDropped = false;
  hasStalled = false;
  /** A newer connection of the same client takes over. */
  isSuperseded = false;

  constructor(readonly generation: number) {}

  /** Whether the client still acts on it. */
  get isOpen(): boolean {
    return !this.hasEnded && !this.isClosing && !this.isDropped &&
      !this.isSuperseded;
  }

  send(text: string): void {
    this.line?.send(text);
  }
}

export abstract class Guest<C extends Call = Call> {
  readonly dice: Dice;
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
    this.room = world.ledger.room(roomName);
    this.isSleeper = number % 6 === 2;
  }

  protected abstract readonly protocol: string | undefined;
  protected abstract newCall(generation: number): C;
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
    const { program } = world;
    const { generation, isUp } = program;
    const kind = protocol === undefined
      ? dice.choose(PLAIN_KINDS)
      : dice.choose(KINDS);
    const call = this.newCall(generation);
    try {
      const line = await LINES[kind].open({
        port: program.port,
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
      if (isUp && this.#isUnbroken(generation)) {
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
    throw this.fault("a message was neither shown nor refused");
  }

  /** Takes a message that was shown, whoever wrote it. */
  protected see(event: MessageEvent): Entry {
    const entry = this.room.see(event);
    if (entry.author === this.number && entry.n > this.sent) {
      throw this.fault(`shown its message ${entry.n} before it was sent`);
    }
    return entry;
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

  /** Whether the server has been up since that start, without a break. */
  #isUnbroken(generation: number): boolean {
    const { program } = this.world;
    return program.isUp && program.generation === generation;
  }

  #judge(call: C, { code, reason }: Ending): void {
    const { tally, program } = this.world;
    const isUnbroken = this.#isUnbroken(call.generation);
    const isExpected = () => {
      switch (code) {
        case undefined:
          // Of those that the server ends some are cut off: Deno does so with
          // whoever still sends while the close frame has not left.
          return call.isDropped || !isUnbroken || call.hasStalled ||
            call.isSuperseded;
        case 1000:
        case 1005:
          return call.isClosing || call.isDropped;
        case 1001:
          return program.stoppedGeneration >= call.generation;
        case 1013:
          return reason === "reading too slowly";
        case 4002:
          return this.hasReturned(call);
        default:
          return false;
      }
    };
    if (code === 1013) tally.evictions++;
    if (code === 1013 && !call.hasStalled) tally.hastyEvictions++;
    if (code === undefined && isUnbroken && !call.isDropped) tally.cutOffs++;
    if (code === 4002) tally.takeovers++;
    if (isExpected()) return;
    const { line: _, ...rest } = call;
    throw this.fault(
      `its connection ended with ${code} "${reason}": ${JSON.stringify(rest)}`,
    );
  }

  /** Whether it may have come back under the same identity. */
  protected hasReturned(call: C): boolean {
    return call.isSuperseded;
  }
}
