// Owns the speech of a good client of `partyline.v1`: it keeps its key and its
// position, sends again what was not acknowledged, and believes nothing that it
// is shown. Never decides what to do next. Invariant: `last` moves by one, so
// it was shown every message of the room from its first on, once, in order.
import {
  DEFAULT_HISTORY,
  type ErrorEvent,
  type Hello,
  type MessageEvent,
  type Request,
  type ServerEvent,
  SUBPROTOCOL,
  type WelcomeEvent,
} from "../../chat/protocol.ts";
import { Call, Guest, type Start } from "./guest.ts";
import { StreamLine } from "./http_line.ts";
import type { Life, Mark } from "./ledger.ts";
import { Outbox } from "./outbox.ts";
import { OwnName } from "./own_name.ts";
import { Roster } from "./roster.ts";

/** Messages not acknowledged yet; the server remembers the newest 64. */
const MAX_WINDOW = 16;

/** When to send again what was refused, if it was not told. */
const RETRY_MS = 1_000;

export class V1Call extends Call {
  /** Which life of the room it is shown, once it is welcome. */
  life: Life | undefined;
  /** The messages that belong to the welcome come after it, one by one. */
  isHistoryComing = false;
  /** Sent again on this connection, and not answered out of line yet. */
  readonly resent = new Set<number>();
  readonly pages = new Map<number, number>();
  readonly pings = new Set<string>();
  wish: string | undefined;
  /** How many messages it gets if it has to begin anew. */
  history = DEFAULT_HISTORY;

  get isWelcome(): boolean {
    return this.life !== undefined;
  }
}

export abstract class V1Client extends Guest<V1Call> {
  protected readonly protocol = SUBPROTOCOL;
  readonly name = new OwnName();
  readonly outbox = new Outbox();
  readonly roster = new Roster();
  /** The last message it was shown, in this life of the room. */
  last = 0;
  #life: Life | undefined;
  #key: string | undefined;
  #hasBrokenHello = false;
  #names = 0;
  #pings = 0;
  readonly #window = this.dice.between(1, MAX_WINDOW);

  protected newCall(start: Start): V1Call {
    return new V1Call(start);
  }

  /** Connects, says hello and waits for the welcome. */
  protected async join(meanwhile = () => {}): Promise<boolean> {
    const { dice, world } = this;
    const call = await this.dial();
    if (call === undefined) return false;
    this.call = call;
    this.request(call, this.#hello(call));
    meanwhile();
    if (dice.chance(0.03)) {
      this.#hasBrokenHello = true;
      this.drop(call);
    }
    await world.until(
      () => call.isWelcome || !call.isOpen,
      () => this.about("a welcome"),
    );
    return call.isWelcome;
  }

  #hello(call: V1Call): Hello {
    const { dice } = this;
    const hello: Hello = { type: "hello" };
    if (this.#key !== undefined) hello.key = this.#key;
    else if (dice.chance(0.5)) {
      // Not the same again: the server may have heard a broken hello.
      hello.name = dice.chance(0.8) ? this.newName() : "Everyone";
      call.wish = hello.name;
      this.name.ask(hello.name);
    }
    if (this.#life === undefined) {
      hello.history = call.history = dice.below(201);
    } else hello.since = { epoch: this.#life.epoch, seq: this.last };
    return hello;
  }

  /** Waits until it was shown the room, in that life, up to `seq`. */
  async reach(life: Life, seq: number): Promise<void> {
    await this.world.until(
      () => this.#life === life && this.last >= seq,
      () =>
        this.about(
          `shown ${this.last} of ${this.#life?.epoch}, not ${seq} of ` +
            `${life.epoch}: ${this.call?.describe()}`,
        ),
    );
  }

  protected get isAtRest(): boolean {
    return this.outbox.isEmpty && this.name.asked.length === 0;
  }

  protected request(call: V1Call, request: Request): void {
    call.send(JSON.stringify(request));
  }

  protected say(call: V1Call, count: number): void {
    for (; count > 0 && this.outbox.size < this.#window; count--) {
      const n = ++this.sent;
      this.outbox.add(n);
      this.#sendMessage(call, n);
      this.world.tally.sent++;
    }
  }

  mark(n: number): Mark {
    return { author: this.number, n };
  }

  /** All clients use the same ids: they belong to an identity. */
  #sendMessage(call: V1Call, n: number): void {
    const message = this.room.textOf(this.mark(n));
    this.request(call, { type: "message", id: `${n}`, message });
  }

  #sendAgain(call: V1Call, n: number): void {
    call.resent.add(n);
    // A refusal of it, or of one before it, may have been lost on the way.
    this.room.excuse(this.mark(n));
    this.#sendMessage(call, n);
    this.world.tally.resent++;
  }

  protected askPage(call: V1Call, before: number): void {
    call.pages.set(before, (call.pages.get(before) ?? 0) + 1);
    this.request(call, { type: "history", before, count: 200 });
  }

  protected ping(call: V1Call): void {
    const id = `ping ${++this.#pings}`;
    call.pings.add(id);
    this.request(call, { type: "ping", id });
  }

  /** One that it never asked for. */
  protected newName(): string {
    return `guest ${this.number}-${++this.#names}`;
  }

  protected override hasReturned(call: V1Call): boolean {
    // A hello that was broken off may be read after the next one, and Deno's
    // WebSocket does not hang up at once.
    return super.hasReturned(call) || call.isDropped || this.#hasBrokenHello;
  }

  protected hear(call: V1Call, text: string): void {
    if (call.isSuperseded || call.isDropped) return;
    const events: ServerEvent[] = JSON.parse(text);
    if (!Array.isArray(events)) throw this.fault(`it was sent ${text}`);
    for (const event of events) {
      if (event.type === "welcome") this.#hearWelcome(call, event, events);
      else if (call.isWelcome || event.type === "error") {
        this.#hearEvent(call, event);
      } else throw this.fault(`sent ${event.type} before welcome`);
    }
  }

  #hearEvent(call: V1Call, event: Exclude<ServerEvent, WelcomeEvent>): void {
    switch (event.type) {
      case "message":
        return this.#hearMessage(call, event);
      case "history":
        return this.#hearPage(call, event.before, event.messages, event.more);
      case "rename":
        this.roster.rename(event.sender, event.name);
        if (this.name.rename(event.sender, event.name)) {
          this.world.tally.renames++;
        }
        return;
      case "join":
      case "leave":
        return this.roster.change(event);
      case "pong":
        if (call.pings.delete(event.id ?? "")) return;
        throw this.fault(`a pong to no ping: ${event.id}`);
      case "error":
        return this.#hearError(call, event);
    }
  }

  #hearWelcome(call: V1Call, event: WelcomeEvent, frame: ServerEvent[]): void {
    const { key, epoch, seq, recovered, sender, room } = event;
    const { tally } = this.world;
    const before = this.#life;
    const life = this.room.life(epoch);
    const isSame = life === before;
    const isRight = !call.isWelcome && room === this.room.name &&
      recovered === (before ? isSame : null) &&
      (isSame ? seq >= this.last : life.number >= (before?.number ?? 0)) &&
      this.room.lives.length <= 1 + tally.emptyings &&
      (key === (this.#key ??= key) || !isSame);
    if (!isRight) {
      throw this.fault(
        `at ${this.last} of ${before?.epoch}, after ${tally.emptyings} ` +
          `emptyings and ${this.room.lives.length} lives, it was welcomed ` +
          `with ${JSON.stringify(event)}`,
      );
    }
    if (key !== this.#key) this.name.forget();
    this.#key = key;
    this.name.welcome(sender, call.wish);
    const problem = this.roster.begin(event);
    if (problem !== undefined) throw this.fault(problem);
    // Where nodes tell each other, the one who had a name may seem to have it.
    const { twins } = this.roster;
    if (twins.length > 0 && this.world.redis === undefined) {
      throw this.fault(`there are ${twins}`);
    }
    if (isSame) tally.recoveries++;
    else {
      if (before !== undefined) tally.beginnings++;
      this.outbox.trust();
      // The newest messages come along, so they end with the room's last.
      call.isHistoryComing = call.line instanceof StreamLine &&
        call.history * seq > 0;
      const count = frame.filter(({ type }) => type === "message").length;
      const isMissing = count === 0 && call.history * seq > 0;
      if (count > call.history || (isMissing && !call.isHistoryComing)) {
        throw this.fault(
          `at ${this.last} of ${before?.epoch} it asked for ${call.history} ` +
            `and got ${count} with ${JSON.stringify(event)}`,
        );
      }
      this.last = seq - count;
    }
    this.#life = call.life = life;
    for (const n of this.outbox.again()) this.#sendAgain(call, n);
  }

  /** Takes a message that was shown, whoever wrote it. */
  #see({ life }: V1Call, event: MessageEvent) {
    if (life === undefined) throw this.fault("shown a message before welcome");
    const entry = this.room.see(event, life);
    this.checkSent(entry);
    return { ...entry, life };
  }

  #hearMessage(call: V1Call, event: MessageEvent): void {
    const { author, n, seq, life } = this.#see(call, event);
    const isOwn = author === this.number;
    if (isOwn) this.#hearAcknowledgement(n, event, life);
    if (call.isHistoryComing) {
      call.isHistoryComing = false;
      if (seq <= this.last - call.history || seq > this.last) {
        throw this.fault(
          `asked for ${call.history} of ${this.last}, got ${seq}`,
        );
      }
      this.last = seq - 1;
    }
    if (seq === this.last + 1) {
      this.last = seq;
      return;
    }
    // Out of line comes only the answer to a message that was sent again.
    if (!isOwn || !call.resent.delete(n)) {
      throw this.fault(`shown seq ${seq} after ${this.last}`);
    }
    this.world.tally.repeatsAnswered++;
  }

  #hearAcknowledgement(n: number, event: MessageEvent, life: Life): void {
    const { seq, id, sender } = event;
    if (id !== `${n}` || !this.name.all.has(sender)) {
      throw this.fault(`its message ${n} is shown with ${id} of "${sender}"`);
    }
    if (this.outbox.show(n, { life, seq })) this.world.tally.acknowledged++;
  }

  #hearPage(
    call: V1Call,
    before: number,
    messages: MessageEvent[],
    more: boolean,
  ): void {
    const times = call.pages.get(before) ?? 0;
    const first = messages[0]?.seq ?? before;
    const isRight = times > 0 && more === first > 1 &&
      first + messages.length === before &&
      messages.every(({ seq }, i) => seq === first + i);
    if (!isRight) {
      throw this.fault(
        `history before ${before}: ${first}, ${messages.length}, ${more}`,
      );
    }
    for (const message of messages) this.#see(call, message);
    call.pages.set(before, times - 1);
    this.world.tally.pages++;
  }

  #hearError(call: V1Call, event: ErrorEvent): void {
    const { code, message, id } = event;
    const wasStopped = this.wasStopped(call);
    // The close that follows is judged; nobody here waits to come back.
    if (code === "shutting_down" && wasStopped) return;
    const isFailure = code === "log_unavailable" &&
      (this.hasLogFailed(call) || wasStopped);
    if (isFailure) return this.#hearFailure(call, event);
    const isAboutName = code.startsWith("name_") ||
      (code === "busy" && id === undefined);
    if (!isAboutName) throw this.fault(`refused with ${code}: ${message}`);
    this.name.refuse(code);
    this.world.tally.refusedNames++;
  }

  /** Something could not be done, or it is not known whether it was. */
  #hearFailure(call: V1Call, { id, retryAfter = RETRY_MS }: ErrorEvent): void {
    this.world.tally.refusals++;
    if (id === undefined) {
      // The close after a hello says it all; of a page nothing is missed.
      if (!call.isWelcome || this.name.asked.length === 0) return;
      this.name.doubt();
      return this.drop(call);
    }
    if (call.pings.delete(id)) return;
    this.room.excuse(this.mark(Number(id)));
    this.#retry(call, Number(id), retryAfter);
  }

  async #retry(call: V1Call, n: number, afterMs: number): Promise<void> {
    await this.world.pause(afterMs);
    if (call.isOpen && this.outbox.isWaiting(n)) this.#sendAgain(call, n);
  }
}
