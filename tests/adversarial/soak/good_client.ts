// A good client of `partyline.v1`: it speaks at its own pace, comes back when it is
// cut off, and stops only when all that it said was acknowledged. What it is shown
// goes through the transcript, so nothing that is wrong is passed over.
import type {
  MessageEvent,
  WelcomeEvent,
} from "../../../chat/protocol/events.ts";
import {
  DEFAULT_HISTORY,
  SUBPROTOCOL,
} from "../../../chat/protocol/requests.ts";
import type { Dice } from "../../stress/dice.ts";
import {
  type Connection,
  type Ending,
  NativeConnection,
} from "../../stress/connection.ts";
import {
  type Order,
  type OtherEvent,
  type Owner,
  RecoveringClient,
} from "../../support/recovering_client.ts";
import { BUSY_ROOM } from "./attacks.ts";
import { pause } from "./field.ts";
import { readMark, textOf, type Transcript } from "./transcript.ts";

/**
 * Not acknowledged at a time: below the burst that a rate allows, so that none
 * is refused when a server that was busy takes them all at once.
 */
const MAX_UNACKNOWLEDGED = 16;

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

export class GoodClient implements Owner {
  said = 0;
  readonly pause = pause;
  readonly #recovering = new RecoveringClient(this);
  #connection: Connection | undefined;
  #returnMs: number | undefined;

  constructor(
    private readonly talk: Talk,
    private readonly number: number,
    private readonly dice: Dice,
  ) {}

  /** Up to where it was shown the room. */
  get last(): number {
    return this.#recovering.seq;
  }

  get isHere(): boolean {
    return this.#connection !== undefined && this.#recovering.isWelcome;
  }

  /** How many of its messages did not come back yet. */
  get waiting(): number {
    return this.#recovering.unacknowledged.size;
  }

  /** Comes, and comes back, until the conversation is over. */
  async stay(): Promise<void> {
    while (!this.talk.isOver) {
      const ending = await this.#call().catch((error) => String(error));
      this.#connection = undefined;
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
      if (this.waiting < MAX_UNACKNOWLEDGED) {
        this.#recovering.say(++this.said);
      }
      await pause(this.dice.between(500, 1_000));
    }
    while (!this.talk.isOver) {
      this.#checkPatience();
      await pause(100);
    }
  }

  leave(): void {
    this.#connection?.close();
  }

  hangUp(): void {
    this.#connection?.drop();
  }

  async #call(): Promise<Ending> {
    const connection = await NativeConnection.open({
      port: this.talk.port,
      path: `/ws?room=${BUSY_ROOM}`,
      protocol: SUBPROTOCOL,
      hear: (text) => this.#recovering.hear(text),
    });
    this.#connection = connection;
    this.#recovering.begin((text) => connection.send(text), 0);
    return await connection.ended;
  }

  #checkPatience(): void {
    if (this.#connection === undefined) return;
    const { waitsSinceMs = Infinity } = this.#recovering;
    if (performance.now() - waitsSinceMs < PATIENCE_MS) return;
    this.talk.count("lost patience");
    this.#connection.drop();
    this.#connection = undefined;
  }

  textOf(n: number): string {
    return textOf({ author: this.number, n });
  }

  see({ message }: MessageEvent): number | undefined {
    const mark = readMark(message);
    return mark?.author === this.number ? mark.n : undefined;
  }

  ordered(event: MessageEvent, order: Order): void {
    const isAnswer = order === "answer";
    this.talk.transcript.see(this.number, this.last, event, isAnswer);
  }

  acknowledged(saidAtMs: number): void {
    this.talk.heard(saidAtMs, performance.now() - saidAtMs);
  }

  welcomed({ seq, recovered }: WelcomeEvent): void {
    if (this.#recovering.epoch === undefined || recovered) return;
    const { transcript } = this.talk;
    transcript.lost += Math.max(1, seq - DEFAULT_HISTORY - this.last);
    transcript.fault(
      `client ${this.number} came back to ${this.last}: not recovered`,
    );
  }

  /** What was refused for a while is said again; the rest is told. */
  told(event: OtherEvent): void {
    if (event.type !== "error") return;
    const { code, id, retryAfter = 1_000 } = event;
    this.talk.count(`refused: ${code}`);
    const waitMs = Math.min(retryAfter, LONGEST_RETURN_MS);
    if (id === undefined) {
      this.#returnMs = waitMs;
      return;
    }
    this.talk.transcript.excuse({ author: this.number, n: Number(id) });
    this.#recovering.retry(Number(id), waitMs);
  }
}
