// What clients of both dialects share: a number, dice, connections, and the
// judgement on how each connection ended. It must end with a close code that the
// server is to use, or because the client or the death of the server ended it.
import { Dice } from "./dice.ts";
import type { Mark, RoomRecord } from "./ledger.ts";
import {
  HttpConnection,
  PollConnection,
  StreamConnection,
} from "./http_connection.ts";
import {
  type Connection,
  type Ending,
  NativeConnection,
  RawConnection,
} from "./connection.ts";
import type { Program } from "./program.ts";
import type { StressRun } from "./stress_run.ts";

/** What connections are made of; plain ones are WebSockets. */
const PLAIN_KINDS = { raw: 3, native: 1 };
const KINDS = { raw: 4, native: 1, stream: 1, poll: 1 };
const CONNECTIONS = {
  raw: RawConnection,
  native: NativeConnection,
  stream: StreamConnection,
  poll: PollConnection,
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
export class ClientConnection {
  transport: Connection | undefined;
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
    this.transport?.send(text);
  }

  describe(): string {
    const { transport, start: { node, ...start }, ...rest } = this;
    const what = { port: node.port, ...start, ...rest };
    return `${transport?.constructor.name} ${JSON.stringify(what)}`;
  }
}

export abstract class StressClient<
  C extends ClientConnection = ClientConnection,
> {
  readonly dice: Dice;
  /** Chooses nodes, so that how many there are changes nothing else. */
  readonly #nodeDice: Dice;
  readonly room: RoomRecord;
  /** Messages are numbered from 1. */
  sent = 0;
  protected connection: C | undefined;
  /** Some often fall asleep; while there are few, all of them in one room. */
  protected readonly isSleeper: boolean;
  /** It went away for good, with messages that may or may not be stored. */
  hasLeft = false;
  readonly #connections = new Set<C>();

  constructor(
    protected readonly run: StressRun,
    readonly number: number,
    roomName: string,
  ) {
    this.dice = new Dice(run.seed, number);
    this.#nodeDice = new Dice(run.seed, number + NODE_STREAMS);
    this.room = run.ledger.room(roomName);
    this.isSleeper = number % 6 === 2;
  }

  protected abstract readonly protocol: string | undefined;
  protected abstract newConnection(start: Start): C;
  protected abstract hear(connection: C, text: string): void;
  /** Connects and says what has to be said; false if that failed. */
  protected abstract join(): Promise<boolean>;
  /** Does one thing. */
  protected abstract act(connection: C): void | Promise<void>;
  /** Brings everything to its end, when the run is over. */
  protected abstract settle(): Promise<void>;

  /** Everything this client does; returns when it has left or settled. */
  async live(): Promise<void> {
    const { dice, run } = this;
    while (!run.isOver) {
      if (!await this.join()) {
        await run.pause(dice.between(10, 150));
        continue;
      }
      while (!run.isOver && this.connection?.isOpen) {
        await run.pause(dice.below(run.idleMs));
        if (!run.isOver && this.connection?.isOpen) {
          await this.act(this.connection);
        }
        if (this.hasLeft) return;
      }
      await run.pause(dice.chance(0.5) ? 0 : dice.below(300));
    }
    if (!run.fault) await this.settle();
  }

  /** Ends all connections without a word; what follows is not judged. */
  hangUp(): void {
    for (const connection of this.#connections) this.drop(connection);
  }

  /** Opens a connection; undefined if the server was down at that moment. */
  protected async dial(): Promise<C | undefined> {
    const { dice, run, protocol } = this;
    const kind = protocol === undefined
      ? dice.choose(PLAIN_KINDS)
      : dice.choose(KINDS);
    const node = run.pickNode(this.#nodeDice);
    const connection = this.newConnection({
      node,
      generation: node.generation,
      endings: run.endings,
      atMs: Date.now(),
    });
    try {
      const transport = await CONNECTIONS[kind].open({
        port: node.port,
        nextPort: () => run.pickNode(this.#nodeDice).port,
        path: `/ws?room=${this.room.name}`,
        ...(protocol !== undefined && { protocol }),
        hear: (text) => this.#guard(() => this.hear(connection, text)),
      });
      connection.transport = transport;
      transport.ended.then((ending) => {
        connection.hasEnded = true;
        this.#connections.delete(connection);
        this.#guard(() => this.#judge(connection, ending));
      });
    } catch (error) {
      if (this.#isUnbroken(connection) && !this.hasLogFailed(connection)) {
        throw this.fault(`could not connect: ${error}`);
      }
      return undefined;
    }
    this.#connections.add(connection);
    run.tally.connections++;
    if (kind === "stream") run.tally.streams++;
    if (kind === "poll") run.tally.polls++;
    if (run.fault) this.drop(connection);
    return connection;
  }

  protected drop(connection: C, halfOf?: string): void {
    connection.isDropped = true;
    connection.transport?.drop(halfOf);
    this.run.tally.drops++;
  }

  protected close(connection: C): void {
    connection.isClosing = true;
    connection.transport?.close();
    this.run.tally.closes++;
  }

  protected stall(connection: C): void {
    connection.hasStalled = true;
    connection.transport?.stall();
    this.run.tally.stalls++;
  }

  /** Waits until none of its connections is left. */
  async gone(): Promise<void> {
    await this.run.until(
      () => this.#connections.size === 0,
      () => this.about("the end of all connections"),
    );
  }

  protected async ended(connection: C): Promise<void> {
    connection.transport?.resume();
    await this.run.until(
      () => connection.hasEnded,
      () => this.about("the end of a connection"),
    );
  }

  /** A message has not come back for too long, though nothing was in its way. */
  protected checkPatience(sentAtMs: number | undefined): void {
    if (sentAtMs === undefined) return;
    if (performance.now() - sentAtMs < ECHO_DEADLINE_MS) return;
    if (this.run.hasLogFailed(Date.now() - ECHO_DEADLINE_MS)) return;
    throw this.fault("a message was neither shown nor refused");
  }

  /** Nobody is shown a message of its own before it sent it. */
  protected checkSent({ author, n }: Mark): void {
    if (author === this.number && n > this.sent) {
      throw this.fault(`shown its message ${n} before it was sent`);
    }
  }

  /** Runs what a connection connections; what it throws is told with its number. */
  #guard(body: () => void): void {
    try {
      body();
    } catch (cause) {
      const { message } = cause as Error;
      const isTold = message.startsWith(this.about(""));
      const what = isTold ? message : this.about(message);
      this.run.fail(new Error(what, { cause }));
    }
  }

  about(what: string): string {
    return `client ${this.number} in ${this.room.name}: ${what}`;
  }

  protected fault(what: string): Error {
    return new Error(this.about(what));
  }

  /** Whether all that it speaks with has been up since, without a break. */
  #isUnbroken({ start, transport }: C): boolean {
    const { node, generation, endings } = start;
    // Requests go to any node.
    const isAnyLeft = transport instanceof HttpConnection &&
      endings !== this.run.endings;
    return node.isUp && node.generation === generation && !isAnyLeft;
  }

  /** Whether a server that it speaks with was told to stop since. */
  protected wasStopped(connection: C): boolean {
    const { node, generation } = connection.start;
    return node.stoppedGeneration >= generation ||
      (connection.transport instanceof HttpConnection &&
        !this.#isUnbroken(connection));
  }

  /** Whether what failed since may be put down to the log. */
  protected hasLogFailed({ start }: C): boolean {
    return this.run.hasLogFailed(start.atMs);
  }

  /** How often history may have been lost meanwhile. */
  protected emptyingsDuring({ start }: C): number {
    return this.run.emptyingsSince(start.atMs);
  }

  #judge(connection: C, { code, reason }: Ending): void {
    const { tally } = this.run;
    const isUnbroken = this.#isUnbroken(connection);
    const hasLogFailed = this.hasLogFailed(connection);
    const isExpected = () => {
      switch (code) {
        case undefined:
          // Of those that the server ends some are cut off: Deno does so with
          // whoever still sends while the close frame has not left.
          return connection.isDropped || !isUnbroken || connection.hasStalled ||
            connection.isSuperseded || hasLogFailed;
        case 1000:
        case 1005:
          return connection.isClosing || connection.isDropped;
        case 1001:
          return this.wasStopped(connection);
        case 1013:
          return reason === "reading too slowly" ||
            (reason.startsWith("the store cannot be used") && hasLogFailed) ||
            // Who was catching up just then is told the latter.
            (/^(the room's history was lost|the history no longer reaches back so far)$/
              .test(reason) &&
              this.emptyingsDuring(connection) > 0);
        case 4002:
          return this.hasReturned(connection);
        default:
          return false;
      }
    };
    const isSlow = reason === "reading too slowly";
    if (isSlow) tally.evictions++;
    if (isSlow && isUnbroken && !connection.hasStalled) tally.hastyEvictions++;
    if (code === undefined && isUnbroken && !connection.isDropped) {
      tally.cutOffs++;
    }
    if (code === 4002) tally.takeovers++;
    if (isExpected()) return;
    throw this.fault(
      `its connection ended with ${code} "${reason}": ${connection.describe()}`,
    );
  }

  /** Whether it may have come back under the same identity. */
  protected hasReturned(connection: C): boolean {
    return connection.isSuperseded;
  }
}
