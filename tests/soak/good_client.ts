// Owns a good client of `partyline.v1`: it speaks at its own pace, keeps its key
// and its position, comes back when it is cut off, and sends again what was not
// acknowledged. Never stops before all is. Invariant: what it is shown goes
// through the transcript, so nothing that is wrong is passed over.
import {
  type ErrorEvent,
  type Hello,
  type MessageEvent,
  type Request,
  type ServerEvent,
  SUBPROTOCOL,
  type WelcomeEvent,
} from "../../chat/protocol.ts";
import type { Dice } from "../stress/dice.ts";
import { type Ending, type Line, NativeLine } from "../stress/line.ts";
import { BUSY_ROOM } from "./attacks.ts";
import { pause } from "./field.ts";
import { readMark, textOf, type Transcript } from "./transcript.ts";

/**
 * Not acknowledged at a time: below the burst that a rate allows, so that none
 * is refused when a server that was busy takes them all at once.
 */
const MAX_UNSEEN = 16;

/** Whoever waits longer for its own message hangs up and comes back. */
const PATIENCE_MS = 20_000;

const RETURN_MS = [200, 1_000] as const;
const LONGEST_RETURN_MS = 30_000;

/** What the clients share. */
export interface Talk {
  port: number;
  transcript: Transcript;
  /** Nobody says anything new any more. */
  isEnding: boolean;
  /** Nobody comes back any more. */
  isOver: boolean;
  /** A message said at `saidAtMs` came back. */
  heard(saidAtMs: number, ms: number): void;
  /** Why connections ended and what was refused, counted. */
  count(what: string): void;
}

export class GoodClient {
  /** Up to where it was shown the room. */
  last = 0;
  said = 0;
  isHere = false;
  /** Its messages that did not come back yet, with the time they were said at. */
  readonly unseen = new Map<number, number>();
  readonly #resent = new Set<number>();
  #key: string | undefined;
  #epoch: string | undefined;
  #line: Line | undefined;
  #returnMs: number | undefined;
  /** Since when it may expect that it is answered. */
  #waitsSinceMs = 0;

  constructor(
    private readonly talk: Talk,
    private readonly number: number,
    private readonly dice: Dice,
  ) {}

  /** Comes, and comes back, until the conversation is over. */
  async stay(): Promise<void> {
    while (!this.talk.isOver) {
      const ending = await this.#call().catch((error) => String(error));
      this.isHere = false;
      this.#line = undefined;
      if (this.talk.isOver) return;
      this.talk.count(
        typeof ending === "string"
          ? `could not connect: ${ending.slice(0, 60)}`
          : `closed with ${ending.code ?? "no code"} ${ending.reason}`.trim(),
      );
      await pause(this.#returnMs ?? this.dice.between(...RETURN_MS));
      this.#returnMs = undefined;
    }
  }

  /** Says something once or twice a second. */
  async speak(): Promise<void> {
    await pause(this.dice.below(1_000));
    while (!this.talk.isEnding) {
      this.#checkPatience();
      if (this.unseen.size < MAX_UNSEEN) {
        const n = ++this.said;
        this.unseen.set(n, performance.now());
        if (this.isHere) this.#say(n);
      }
      await pause(this.dice.between(500, 1_000));
    }
    while (!this.talk.isOver) {
      this.#checkPatience();
      await pause(100);
    }
  }

  leave(): void {
    this.#line?.close();
  }

  hangUp(): void {
    this.#line?.drop();
  }

  async #call(): Promise<Ending> {
    const line = await NativeLine.open({
      port: this.talk.port,
      path: `/ws?room=${BUSY_ROOM}`,
      protocol: SUBPROTOCOL,
      hear: (text) => this.#hear(text),
    });
    this.#line = line;
    this.#waitsSinceMs = performance.now();
    const hello: Hello = { type: "hello" };
    if (this.#key !== undefined) hello.key = this.#key;
    if (this.#epoch === undefined) hello.history = 0;
    else hello.since = { epoch: this.#epoch, seq: this.last };
    this.#request(hello);
    return await line.ended;
  }

  #request(request: Request): void {
    this.#line?.send(JSON.stringify(request));
  }

  #say(n: number): void {
    const message = textOf({ author: this.number, n });
    this.#request({ type: "message", id: `${n}`, message });
  }

  #checkPatience(): void {
    const [oldestAtMs = Infinity] = this.unseen.values();
    const sinceMs = this.isHere
      ? Math.max(oldestAtMs, this.#waitsSinceMs)
      : this.#waitsSinceMs;
    if (this.#line === undefined) return;
    if (performance.now() - sinceMs < PATIENCE_MS) return;
    this.talk.count("lost patience");
    this.#line.drop();
    this.#line = undefined;
  }

  #hear(text: string): void {
    const events: ServerEvent[] = JSON.parse(text);
    for (const event of events) {
      if (event.type === "welcome") this.#hearWelcome(event, events);
      if (event.type === "message") {
        this.#hearMessage(event);
      }
      if (event.type === "error") this.#hearError(event);
    }
  }

  #hearMessage(event: MessageEvent): void {
    const mark = readMark(event.message);
    const own = mark?.author === this.number ? mark.n : undefined;
    // What was said again is shown in its place, if it was stored but then,
    // and answered out of line besides, if it had been stored before.
    const isAnswer = own !== undefined && event.seq <= this.last &&
      this.#resent.delete(own);
    const { transcript } = this.talk;
    this.last = transcript.see(this.number, this.last, event, isAnswer);
    if (own !== undefined) this.#hearOwn(own);
  }

  #hearOwn(n: number): void {
    const saidAtMs = this.unseen.get(n);
    if (saidAtMs === undefined) return;
    this.unseen.delete(n);
    this.talk.heard(saidAtMs, performance.now() - saidAtMs);
  }

  #hearWelcome(
    { key, epoch, seq, recovered }: WelcomeEvent,
    frame: ServerEvent[],
  ): void {
    this.#key = key;
    const isFirst = this.#epoch === undefined;
    if (isFirst) this.last = seq;
    if (!isFirst && !recovered) {
      const { transcript } = this.talk;
      const shown = frame.filter(({ type }) => type === "message").length;
      const missed = seq - shown - this.last;
      transcript.lost += Math.max(1, missed);
      transcript.fault(
        `client ${this.number} came back to ${this.last}: not recovered`,
      );
      this.last = seq - shown;
    }
    this.#epoch = epoch;
    this.isHere = true;
    this.#waitsSinceMs = performance.now();
    if (!isFirst) { for (const n of this.unseen.keys()) this.#resent.add(n); }
    for (const n of this.unseen.keys()) this.#say(n);
  }

  /** What was refused for a while is said again; the rest is told. */
  async #hearError({ code, id, retryAfter }: ErrorEvent): Promise<void> {
    this.talk.count(`refused: ${code}`);
    const waitMs = Math.min(retryAfter ?? 1_000, LONGEST_RETURN_MS);
    if (id === undefined) {
      this.#returnMs = waitMs;
      return;
    }
    this.talk.transcript.excuse({ author: this.number, n: Number(id) });
    await pause(waitMs);
    if (!this.isHere || !this.unseen.has(Number(id))) return;
    this.#resent.add(Number(id));
    this.#say(Number(id));
  }
}
