// Owns the speech of a good client of `partyline.v1`: it keeps its key and its
// position, sends again what was not acknowledged, and believes nothing that it
// is shown. Never decides what to do next. Invariant: `last` moves by one, so
// it was shown every message of the room from its first on, once, in order.
import {
  type ErrorEvent,
  type Hello,
  type MessageEvent,
  type Request,
  type ServerEvent,
  SUBPROTOCOL,
  type WelcomeEvent,
} from "../../chat/protocol.ts";
import { Call, Guest } from "./guest.ts";
import { StreamLine } from "./http_line.ts";
import { Outbox } from "./outbox.ts";
import { OwnName } from "./own_name.ts";
import { Roster } from "./roster.ts";

/** Messages not acknowledged yet; the server remembers the newest 64. */
const MAX_WINDOW = 16;

export class V1Call extends Call {
  isWelcome = false;
  /** The messages that belong to the welcome come after it, one by one. */
  isHistoryComing = false;
  /** Sent again on this connection, and not answered out of line yet. */
  readonly resent = new Set<number>();
  readonly pages = new Map<number, number>();
  readonly pings = new Set<string>();
  wish: string | undefined;
  /** How many messages it asked for, if it was never here. */
  history = 0;
}

export abstract class V1Client extends Guest<V1Call> {
  protected readonly protocol = SUBPROTOCOL;
  readonly name = new OwnName();
  readonly outbox = new Outbox();
  readonly roster = new Roster();
  /** The last message it was shown. */
  last = 0;
  #key: string | undefined;
  #epoch: string | undefined;
  #hasBrokenHello = false;
  #names = 0;
  #pings = 0;
  readonly #window = this.dice.between(1, MAX_WINDOW);

  protected newCall(generation: number): V1Call {
    return new V1Call(generation);
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
    if (this.#epoch === undefined) {
      hello.history = call.history = dice.below(201);
    } else hello.since = { epoch: this.#epoch, seq: this.last };
    return hello;
  }

  /** Waits until it was shown the room up to `seq`. */
  async reach(seq: number): Promise<void> {
    await this.world.until(
      () => this.last >= seq,
      () => this.about(`shown ${this.last} of ${seq}`),
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

  /** All clients use the same ids: they belong to an identity. */
  #sendMessage(call: V1Call, n: number): void {
    const message = this.room.textOf({ author: this.number, n });
    this.request(call, { type: "message", id: `${n}`, message });
  }

  #sendAgain(call: V1Call): void {
    for (const n of this.outbox.again()) {
      call.resent.add(n);
      this.#sendMessage(call, n);
      this.world.tally.resent++;
    }
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
    const isReturn = this.#epoch !== undefined;
    const isRight = !call.isWelcome && room === this.room.name &&
      recovered === (isReturn ? true : null) && seq >= this.last &&
      epoch === (this.room.epoch ??= epoch) &&
      key === (this.#key ??= key);
    if (!isRight) {
      throw this.fault(
        `at ${this.last} of ${this.room.epoch} it was welcomed with ` +
          JSON.stringify(event),
      );
    }
    this.name.welcome(sender, call.wish);
    const problem = this.roster.begin(event);
    if (problem !== undefined) throw this.fault(problem);
    if (isReturn) this.world.tally.recoveries++;
    else {
      // The newest messages come along, so they end with the room's last.
      call.isHistoryComing = call.line instanceof StreamLine &&
        call.history * seq > 0;
      const count = frame.filter(({ type }) => type === "message").length;
      const isMissing = count === 0 && call.history * seq > 0;
      if (count > call.history || (isMissing && !call.isHistoryComing)) {
        throw this.fault(`asked for ${call.history} of ${seq}, got ${count}`);
      }
      this.last = seq - count;
    }
    this.#epoch = epoch;
    call.isWelcome = true;
    this.#sendAgain(call);
  }

  #hearMessage(call: V1Call, event: MessageEvent): void {
    const { author, n, seq } = this.see(event);
    const isOwn = author === this.number;
    if (isOwn) this.#hearAcknowledgement(n, event);
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

  #hearAcknowledgement(n: number, { seq, id, sender }: MessageEvent): void {
    if (id !== `${n}` || !this.name.all.has(sender)) {
      throw this.fault(`its message ${n} is shown with ${id} of "${sender}"`);
    }
    if (this.outbox.show(n, seq)) this.world.tally.acknowledged++;
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
    for (const message of messages) this.see(message);
    call.pages.set(before, times - 1);
    this.world.tally.pages++;
  }

  #hearError(call: V1Call, { code, message, id }: ErrorEvent): void {
    // The close that follows is judged; nobody here waits to come back.
    const isFarewell = code === "shutting_down" &&
      this.world.program.stoppedGeneration >= call.generation;
    if (isFarewell) return;
    const isAboutName = code.startsWith("name_") ||
      (code === "busy" && id === undefined);
    if (!isAboutName) throw this.fault(`refused with ${code}: ${message}`);
    this.name.refuse(code);
    this.world.tally.refusedNames++;
  }
}
