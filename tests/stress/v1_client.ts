// A client of `partyline.v1` that recovers and believes nothing that it is shown:
// each event is a fault unless the protocol, what the client asked for, and what
// all others were shown explain it. So it was shown every message of the room from
// its first on, once, in order. What it does next is decided in `random_v1_client.ts`.
import { type Request, SUBPROTOCOL } from "../../chat/protocol/requests.ts";
import type {
  ErrorEvent,
  MessageEvent,
  WelcomeEvent,
} from "../../chat/protocol/events.ts";
import { MAX_WAITING_PAGES } from "../../chat/session/history_pager.ts";
import {
  type Order,
  type OtherEvent,
  type Owner,
  RecoveringClient,
} from "../support/recovering_client.ts";
import { ClientConnection, type Start, StressClient } from "./stress_client.ts";
import type { Life, Mark } from "./ledger.ts";
import { OwnName } from "./own_name.ts";
import { Roster } from "./roster.ts";

/** Messages not acknowledged yet; the server remembers the newest 64. */
const MAX_WINDOW = 16;

/** How many of its messages are answers. */
const ANSWERS = 0.1;

/** How many of its newest messages it may delete. */
const DELETABLE = 40;

/** When to send again what was refused, if it was not told. */
const RETRY_MS = 1_000;

export class V1Connection extends ClientConnection {
  /** Which life of the room it is shown, once it is welcome. */
  life: Life | undefined;
  readonly pages = new Map<number, number>();
  readonly pings = new Set<string>();
  wish: string | undefined;

  get isWelcome(): boolean {
    return this.life !== undefined;
  }
}

export abstract class V1Client extends StressClient<V1Connection>
  implements Owner {
  protected readonly protocol = SUBPROTOCOL;
  readonly name = new OwnName();
  readonly roster = new Roster();
  /** Where each of its messages was last shown to be. */
  readonly places = new Map<number, { life: Life; seq: number }>();
  /** What it was told or shown to be deleted, in this life of the room. */
  readonly deleted = new Set<number>();
  /** What it asked to delete, in this life, and was not told yet to be deleted. */
  protected readonly deleting = new Set<number>();
  /** The first message that it was shown in order, in this life. */
  first = 0;
  protected readonly recovering = new RecoveringClient(this);
  /** Where it hears: before it says hello on one, that is not `connection` yet. */
  #heard: V1Connection | undefined;
  #life: Life | undefined;
  #hasBrokenHello = false;
  #names = 0;
  #pings = 0;
  readonly #window = this.dice.between(1, MAX_WINDOW);

  /** The last message it was shown, in this life of the room. */
  get last(): number {
    return this.recovering.seq;
  }

  protected newConnection(start: Start): V1Connection {
    return new V1Connection(start);
  }

  /** Connects, says hello and waits for the welcome. */
  protected async join(meanwhile = () => {}): Promise<boolean> {
    const { dice, run } = this;
    const connection = await this.dial();
    if (connection === undefined) return false;
    this.connection = connection;
    this.#sayHello(connection);
    meanwhile();
    if (dice.chance(0.03)) {
      this.#hasBrokenHello = true;
      this.drop(connection);
    }
    await run.until(
      () => connection.isWelcome || !connection.isOpen,
      () => this.about("a welcome"),
    );
    return connection.isWelcome;
  }

  #sayHello(connection: V1Connection): void {
    const { dice, recovering } = this;
    if (recovering.key === undefined && dice.chance(0.5)) {
      // Not the same again: the server may have heard a broken hello.
      connection.wish = dice.chance(0.8) ? this.newName() : "Everyone";
      this.name.ask(connection.wish);
    }
    const history = this.#life === undefined ? dice.below(201) : 0;
    const send = (text: string) => {
      if (connection.isOpen) connection.send(text);
    };
    recovering.begin(send, history, connection.wish);
  }

  /** Waits until it was shown the room, in that life, up to `seq`. */
  async reach(life: Life, seq: number): Promise<void> {
    await this.run.until(
      () => this.#life === life && this.last >= seq,
      () =>
        this.about(
          `shown ${this.last} of ${this.#life?.epoch}, not ${seq} of ` +
            `${life.epoch}: ${this.connection?.describe()}`,
        ),
    );
  }

  protected get isAtRest(): boolean {
    const { unacknowledged, doubted } = this.recovering;
    const { asked } = this.name;
    const waiting = [unacknowledged.size, doubted.size, this.deleting.size];
    return waiting.every((size) => size === 0) && asked.length === 0;
  }

  protected request(connection: V1Connection, request: Request): void {
    connection.send(JSON.stringify(request));
  }

  protected say(count: number): void {
    const { dice, recovering, run } = this;
    const free = this.#window - recovering.unacknowledged.size;
    for (let i = 0; i < Math.min(count, free); i++) {
      this.sent++;
      if (dice.chance(ANSWERS) && this.#life !== undefined && this.last > 0) {
        const answered = dice.between(1, this.last);
        this.room.answer(this.mark(this.sent), this.#life, answered);
        run.tally.answers++;
      }
      recovering.say(this.sent);
      run.tally.sent++;
    }
  }

  answeredBy(n: number): number | undefined {
    return this.room.answeredBy(this.mark(n), this.#life);
  }

  /** Asks to delete one of its newest messages. */
  protected erase(connection: V1Connection): void {
    const n = this.sent - this.dice.below(DELETABLE);
    const place = this.places.get(n);
    if (place === undefined || place.life !== connection.life) return;
    // Now and then again what is deleted already.
    place.life.wanted.add(place.seq);
    this.deleting.add(place.seq);
    this.request(connection, { type: "delete", seq: place.seq });
  }

  /** What was asked for may have been lost with the connection. */
  #eraseAgain(connection: V1Connection): void {
    if (!connection.isOpen) return;
    for (const seq of this.deleting) {
      this.request(connection, { type: "delete", seq });
    }
  }

  mark(n: number): Mark {
    return { author: this.number, n };
  }

  textOf(n: number): string {
    return this.room.textOf(this.mark(n));
  }

  pause(ms: number): Promise<void> {
    return this.run.pause(ms);
  }

  sentAgain(n: number): void {
    // A refusal of it, or of one before it, may have been lost on the way.
    this.room.excuse(this.mark(n));
    this.run.tally.resent++;
  }

  acknowledged(): void {
    this.run.tally.acknowledged++;
  }

  protected askPage(connection: V1Connection, before: number): void {
    connection.pages.set(before, (connection.pages.get(before) ?? 0) + 1);
    this.request(connection, { type: "history", before, count: 200 });
  }

  protected ping(connection: V1Connection): void {
    const id = `ping ${++this.#pings}`;
    connection.pings.add(id);
    this.request(connection, { type: "ping", id });
  }

  /** One that it never asked for. */
  protected newName(): string {
    return `client ${this.number}-${++this.#names}`;
  }

  protected override hasReturned(connection: V1Connection): boolean {
    // A hello that was broken off may be read after the next one, and Deno's
    // WebSocket does not hang up at once.
    return super.hasReturned(connection) || connection.isDropped ||
      this.#hasBrokenHello;
  }

  protected hear(connection: V1Connection, text: string): void {
    if (connection.isSuperseded || connection.isDropped) return;
    this.#heard = connection;
    this.recovering.hear(text);
  }

  told(event: OtherEvent): void {
    const connection = this.#heard!;
    if (!connection.isWelcome && event.type !== "error") {
      throw this.fault(`sent ${event.type} before welcome`);
    }
    switch (event.type) {
      case "history":
        return this.#hearPage(
          connection,
          event.before,
          event.messages,
          event.more,
        );
      case "rename":
        this.roster.rename(event.sender, event.name);
        if (this.name.rename(event.sender, event.name)) {
          this.run.tally.renames++;
        }
        return;
      case "join":
      case "leave":
        return this.roster.change(event);
      case "delete":
        connection.life?.delete(event.target);
        return this.#noteDeleted(event.target);
      case "pong":
        if (connection.pings.delete(event.id ?? "")) return;
        throw this.fault(`a pong to no ping: ${event.id}`);
      case "error":
        return this.#hearError(connection, event);
    }
  }

  welcomed(event: WelcomeEvent): void {
    const connection = this.#heard!;
    const { key, epoch, seq, recovered, sender, room } = event;
    const { tally } = this.run;
    const before = this.#life;
    const life = this.room.life(epoch);
    const isSame = life === before;
    const isRight = !connection.isWelcome && room === this.room.name &&
      recovered === (before ? isSame : null) &&
      (isSame ? seq >= this.last : life.number >= (before?.number ?? 0)) &&
      this.room.lives.length <= 1 + tally.emptyings &&
      (key === (this.recovering.key ?? key) || !isSame);
    if (!isRight) {
      throw this.fault(
        `at ${this.last} of ${before?.epoch}, after ${tally.emptyings} ` +
          `emptyings and ${this.room.lives.length} lives, it was welcomed ` +
          `with ${JSON.stringify(event)}`,
      );
    }
    if (key !== this.recovering.key) this.name.forget();
    this.run.ledger.noteAuthor(event.author, this.number);
    this.name.welcome(sender, connection.wish);
    const problem = this.roster.begin(event);
    if (problem !== undefined) throw this.fault(problem);
    // Where nodes tell each other, the one who had a name may seem to have it.
    const { twins } = this.roster;
    if (twins.length > 0 && this.run.redis === undefined) {
      throw this.fault(`there are ${twins}`);
    }
    this.#life = connection.life = life;
    if (!isSame) this.#beginAnew();
    this.#eraseAgain(connection);
    if (isSame) tally.recoveries++;
    else if (before !== undefined) tally.beginnings++;
  }

  #beginAnew(): void {
    this.deleted.clear();
    this.deleting.clear();
    this.first = 0;
  }

  #noteDeleted(seq: number): void {
    this.deleted.add(seq);
    this.deleting.delete(seq);
  }

  /** Takes a message that was shown, whoever wrote it. */
  #see({ life }: V1Connection, event: MessageEvent) {
    if (life === undefined) throw this.fault("shown a message before welcome");
    const entry = this.room.see(event, life);
    this.checkSent(entry);
    const isDeleted = event.deleted === true;
    if (isDeleted) this.#noteDeleted(event.seq);
    else if (this.deleted.has(event.seq)) {
      throw this.fault(`shown the text of seq ${event.seq}, which is deleted`);
    }
    return { ...entry, life };
  }

  see(event: MessageEvent): number | undefined {
    const connection = this.#heard!;
    const { author, n, seq, life } = this.#see(connection, event);
    if (author !== this.number) return;
    const { id, sender } = event;
    if (id !== `${n}` || !this.name.all.has(sender)) {
      throw this.fault(`its message ${n} is shown with ${id} of "${sender}"`);
    }
    this.places.set(n, { life, seq });
    return n;
  }

  ordered({ seq }: MessageEvent, order: Order): void {
    if (order === "next" && this.first === 0) this.first = seq;
    if (order === "answer") this.run.tally.repeatsAnswered++;
    if (order !== "wrong") return;
    throw this.fault(`shown seq ${seq} after ${this.last}`);
  }

  #hearPage(
    connection: V1Connection,
    before: number,
    messages: MessageEvent[],
    more: boolean,
  ): void {
    const times = connection.pages.get(before) ?? 0;
    const first = messages[0]?.seq ?? before;
    const isRight = times > 0 && more === first > 1 &&
      first + messages.length === before &&
      messages.every(({ seq }, i) => seq === first + i);
    if (!isRight) {
      throw this.fault(
        `history before ${before}: ${first}, ${messages.length}, ${more}`,
      );
    }
    for (const message of messages) this.#see(connection, message);
    connection.pages.set(before, times - 1);
    this.run.tally.pages++;
  }

  #hearError(connection: V1Connection, event: ErrorEvent): void {
    const { code, message, id } = event;
    const wasStopped = this.wasStopped(connection);
    // The close that follows is judged; nobody here waits to come back.
    if (code === "shutting_down" && wasStopped) return;
    const isFailure = code === "log_unavailable" &&
      (this.hasLogFailed(connection) || wasStopped);
    if (isFailure) return this.#hearFailure(connection, event);
    // One that stalls asks for so much at once that some of it is refused.
    const asked = [...connection.pages.values()].reduce((sum, n) => sum + n, 0);
    if (code === "rate_limited" && id === undefined) {
      if (asked > MAX_WAITING_PAGES) return void this.run.tally.refusals++;
    }
    // What it asked to delete may have been lost with all.
    const isGone = code === "invalid" && id === undefined &&
      this.emptyingsDuring(connection) > 0;
    if (isGone) return void this.run.tally.refusals++;
    const isAboutName = code.startsWith("name_") ||
      (code === "busy" && id === undefined);
    if (!isAboutName) throw this.fault(`refused with ${code}: ${message}`);
    this.name.refuse(code);
    this.run.tally.refusedNames++;
  }

  /** Something could not be done, or it is not known whether it was. */
  #hearFailure(
    connection: V1Connection,
    { id, retryAfter = RETRY_MS }: ErrorEvent,
  ): void {
    this.run.tally.refusals++;
    if (id === undefined) {
      // The close after a hello says it all; of a page nothing is missed.
      if (!connection.isWelcome) return;
      if (this.deleting.size > 0) {
        this.pause(retryAfter).then(() => this.#eraseAgain(connection));
      }
      if (this.name.asked.length === 0) return;
      this.name.doubt();
      return this.drop(connection);
    }
    if (connection.pings.delete(id)) return;
    this.room.excuse(this.mark(Number(id)));
    this.recovering.retry(Number(id), retryAfter);
  }
}
