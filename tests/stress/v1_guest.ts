// Owns a good client of `partyline.v1`: it keeps its key and its position,
// sends again what was not acknowledged, and believes nothing it is shown.
// Invariant: `last` moves by one, so what it was shown from `first` to `last`
// is every message of the room, once, in order.
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
import { foldName, Roster } from "./roster.ts";

/** Messages not acknowledged yet; the server remembers the newest 64. */
const MAX_WINDOW = 16;
/** Acknowledged messages that are sent again all the same. */
const MAX_DOUBTS = 4;

/**
 * Pages of history, of about 16 KB, that are asked for before a long stall.
 * The first more or less fill the system's buffers, which take some 4 MB on
 * Linux, so that what others say then reaches the send limit.
 */
const FILLING_PAGES = [20, 240] as const;
const FLOOD_PAGES = 300;
/** So many at a time do not look as if they would not be read. */
const FILLING_STEP = 10;

const HABITS = {
  say: 60,
  page: 6,
  chatter: 3,
  stall: 2,
  drop: 2,
  rename: 1.5,
  takeOver: 1,
  close: 1,
  stallLong: 0,
  flood: 0.02,
  leave: 0.1,
};

const SLEEPER_HABITS = { ...HABITS, stallLong: 2, flood: 0.2 };

class V1Call extends Call {
  isWelcome = false;
  /** Numbers sent again on this connection, and how often. */
  readonly resent = new Map<number, number>();
  readonly pages = new Map<number, number>();
  readonly pings = new Set<string>();
  wish: string | undefined;
}

export class V1Guest extends Guest<V1Call> {
  protected readonly protocol = SUBPROTOCOL;
  name: string | undefined;
  /** Names it asked for, so may have. */
  readonly asked = new Set<string>();
  /** Every name it ever asked for or was given. */
  readonly names = new Set<string>();
  readonly roster = new Roster();
  /** The first message it was shown, and the last. */
  first = 1;
  last = 0;
  /** Sent and not acknowledged, with the time, in order. */
  readonly unacknowledged = new Map<number, number>();
  /** Where each acknowledged message was said to be. */
  readonly acknowledged = new Map<number, number>();
  /** Acknowledged, but taken for lost: the server has to answer again. */
  readonly #doubted = new Set<number>();
  #key: string | undefined;
  #epoch: string | undefined;
  #hasBrokenHello = false;
  #wishes = 0;
  readonly #window = this.dice.between(1, MAX_WINDOW);
  readonly #habits = this.isSleeper ? SLEEPER_HABITS : HABITS;

  protected newCall(generation: number): V1Call {
    return new V1Call(generation);
  }

  /** Connects, says hello and waits for the welcome. */
  protected async join(): Promise<boolean> {
    const { dice, world } = this;
    const call = await this.dial();
    if (call === undefined) return false;
    this.call = call;
    this.#request(call, this.#hello(call));
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
      const own = `wish ${this.number}-${++this.#wishes}`;
      hello.name = dice.chance(0.8) ? own : "Everyone";
      call.wish = hello.name;
      this.#mayBe(hello.name);
    }
    if (this.#epoch === undefined) hello.history = dice.below(201);
    else hello.since = { epoch: this.#epoch, seq: this.last };
    return hello;
  }

  protected async act(call: V1Call): Promise<void> {
    const { dice, world } = this;
    this.checkPatience(this.unacknowledged.values().next().value);
    switch (dice.choose(this.#habits)) {
      case "say":
        return this.#say(call, dice.between(1, 6));
      case "page":
        return this.#askPage(call, dice.between(1, this.last + 1));
      case "chatter":
        return dice.chance(0.5)
          ? this.#request(call, { type: "typing" })
          : this.#ping(call);
      case "rename":
        return this.#rename(call);
      case "stall":
        return await this.#stall(call, () => world.pause(dice.below(100)));
      case "stallLong":
        return await this.#fallAsleep(call);
      case "flood":
        this.#askPages(call, FLOOD_PAGES);
        return await this.#stall(call, () => world.pause(dice.below(500)));
      case "drop":
        return this.#drop(call);
      case "takeOver":
        return await this.#takeOver(call);
      case "close":
        this.close(call);
        return await this.ended(call);
      case "leave":
        return this.leave();
    }
  }

  /** Goes for good, politely or not. */
  leave(): void {
    const { call, dice } = this;
    this.hasLeft = true;
    this.world.tally.leavers++;
    if (!call?.isOpen) return;
    if (dice.chance(0.5)) this.drop(call);
    else this.close(call);
  }

  /** Connects if need be, until all is acknowledged and answered. */
  protected async settle(): Promise<void> {
    const { world } = this;
    const giveUpAtMs = performance.now() + 20_000;
    while (performance.now() < giveUpAtMs) {
      if (!this.call?.isOpen && !await this.join()) continue;
      const { call } = this;
      if (call === undefined) continue;
      call.line?.resume();
      this.#ping(call);
      await world.until(
        () => !call.isOpen || (call.pings.size === 0 && this.#isAtRest),
        () => this.about(`rest: ${this.#unrest}`),
      );
      if (call.isOpen) return;
    }
    throw this.fault("it could not come to rest");
  }

  /** Waits until it was shown the room up to `seq`. */
  async reach(seq: number): Promise<void> {
    await this.world.until(
      () => this.last >= seq,
      () => this.about(`shown ${this.last} of ${seq}`),
    );
  }

  get isConnected(): boolean {
    return this.call?.isOpen ?? false;
  }

  get #isAtRest(): boolean {
    return this.unacknowledged.size + this.#doubted.size + this.asked.size ===
      0;
  }

  get #unrest(): string {
    return `unacknowledged ${[...this.unacknowledged.keys()]}, ` +
      `sent again ${[...this.#doubted]}, names asked for ${[...this.asked]}, ` +
      `called ${this.name}`;
  }

  #request(call: V1Call, request: Request): void {
    call.send(JSON.stringify(request));
  }

  #say(call: V1Call, count: number): void {
    for (; count > 0 && this.unacknowledged.size < this.#window; count--) {
      const n = ++this.sent;
      this.#sendMessage(call, n);
      this.world.tally.sent++;
    }
  }

  /** All clients use the same ids: they belong to an identity. */
  #sendMessage(call: V1Call, n: number): void {
    this.unacknowledged.set(n, performance.now());
    const message = this.room.textOf({ author: this.number, n });
    this.#request(call, { type: "message", id: `${n}`, message });
  }

  /** What a reconnect is for: in the order in which it was sent. */
  #sendAgain(call: V1Call): void {
    const again = [...this.#doubted, ...this.unacknowledged.keys()];
    this.unacknowledged.clear();
    for (const n of again.sort((a, b) => a - b)) {
      call.resent.set(n, 1);
      this.#sendMessage(call, n);
      this.world.tally.resent++;
    }
    for (const n of this.#doubted) this.unacknowledged.delete(n);
  }

  #askPage(call: V1Call, before: number): void {
    call.pages.set(before, (call.pages.get(before) ?? 0) + 1);
    this.#request(call, { type: "history", before, count: 200 });
  }

  #askPages(call: V1Call, count: number): void {
    for (; count > 0; count--) this.#askPage(call, this.last + 1);
  }

  #ping(call: V1Call): void {
    const id = `ping ${call.pings.size}`;
    call.pings.add(id);
    this.#request(call, { type: "ping", id });
  }

  /** Asks for names of its own, or for one that somebody has. */
  #rename(call: V1Call): void {
    const { dice } = this;
    // One answer at a time can be told apart.
    if (this.asked.size > 0) return;
    const own = () => `guest ${this.number}-${++this.#wishes}`;
    const kind = dice.choose({ one: 5, two: 2, taken: 3, invalid: 1 });
    const taken = dice.pick(this.roster.names);
    const names = kind === "one"
      ? [own()]
      : kind === "two"
      ? [own(), own()]
      : kind === "invalid"
      ? [`<${this.number}>`]
      : taken !== undefined && taken !== this.name && !this.names.has(taken)
      ? [taken.toUpperCase()]
      : [];
    for (const name of names) {
      this.#mayBe(name);
      this.#request(call, { type: "rename", name });
    }
  }

  /** Reads nothing for long, while more and more is on its way. */
  async #fallAsleep(call: V1Call): Promise<void> {
    const { dice, world } = this;
    await this.#stall(call, async () => {
      for (let n = dice.between(...FILLING_PAGES); n > 0; n -= FILLING_STEP) {
        this.#askPages(call, FILLING_STEP);
        await world.pause(10);
      }
      await world.pause(dice.between(1_000, 3_000));
    });
  }

  #mayBe(name: string): void {
    this.asked.add(name);
    this.names.add(name);
  }

  async #stall(call: V1Call, idle: () => Promise<void>): Promise<void> {
    this.stall(call);
    await idle();
    call.line?.resume();
    // What it was not shown meanwhile does not count as late.
    for (const n of this.unacknowledged.keys()) {
      this.unacknowledged.set(n, performance.now());
    }
  }

  /** The line breaks, and with it some acknowledgements were lost, it thinks. */
  #drop(call: V1Call): void {
    const { dice } = this;
    this.drop(call, dice.chance(0.3) ? '{"type":"message","mess' : undefined);
    const doubts = dice.below(MAX_DOUBTS + 1);
    for (let n = this.sent; n > this.sent - doubts && n > 0; n--) {
      if (this.acknowledged.has(n)) this.#doubted.add(n);
    }
  }

  /** Comes back while it is still connected, as a second tab would. */
  async #takeOver(old: V1Call): Promise<void> {
    old.isSuperseded = true;
    await this.join();
    // Whoever did not get through leaves the old one where it was.
    if (!this.call?.isWelcome && !old.hasEnded) this.drop(old);
    await this.ended(old);
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
      else if (call.isWelcome) this.#hearEvent(call, event);
      else throw this.fault(`sent ${event.type} before welcome`);
    }
  }

  #hearEvent(call: V1Call, event: Exclude<ServerEvent, WelcomeEvent>): void {
    switch (event.type) {
      case "message":
        return this.#hearMessage(call, event);
      case "history":
        return this.#hearPage(call, event.before, event.messages, event.more);
      case "rename":
        return this.#hearRename(event.sender, event.name);
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
    this.#hearOwnName(call, sender);
    const problem = this.roster.begin(event);
    if (problem !== undefined) throw this.fault(problem);
    if (isReturn) this.world.tally.recoveries++;
    else {
      // The newest messages come along, so they end with the room's last.
      this.last = seq - frame.filter(({ type }) => type === "message").length;
      this.first = this.last + 1;
    }
    this.#epoch = epoch;
    call.isWelcome = true;
    this.#sendAgain(call);
  }

  #hearOwnName(call: V1Call, name: string): void {
    if (this.name !== undefined && !this.asked.has(name)) {
      if (name !== this.name) {
        throw this.fault(`it was "${this.name}" and came back as "${name}"`);
      }
    }
    this.name = name;
    this.names.add(name);
    this.asked.clear();
    // A wish not granted is answered after the welcome.
    if (call.wish !== undefined && call.wish !== name) {
      this.asked.add(call.wish);
    }
  }

  #hearMessage(call: V1Call, event: MessageEvent): void {
    const { author, n, seq } = this.see(event);
    const isOwn = author === this.number;
    if (isOwn) this.#hearAcknowledgement(n, event);
    if (seq === this.last + 1) {
      this.last = seq;
      return;
    }
    // Out of line comes only the answer to a message that was sent again.
    const times = (isOwn && call.resent.get(n)) || 0;
    if (times === 0) throw this.fault(`shown seq ${seq} after ${this.last}`);
    call.resent.set(n, times - 1);
    this.world.tally.repeatsAnswered++;
  }

  #hearAcknowledgement(n: number, { seq, id, sender }: MessageEvent): void {
    if (id !== `${n}` || !this.names.has(sender)) {
      throw this.fault(`its message ${n} is shown with ${id} of "${sender}"`);
    }
    this.#doubted.delete(n);
    this.acknowledged.set(n, seq);
    if (this.unacknowledged.delete(n)) this.world.tally.acknowledged++;
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

  #hearRename(before: string, name: string): void {
    this.roster.rename(before, name);
    if (before !== this.name) return;
    if (!this.names.has(name)) {
      throw this.fault(`"${before}" became "${name}" unasked`);
    }
    // One that was on its way before the welcome is known already.
    if (!this.asked.delete(name)) return;
    this.name = name;
    this.world.tally.renames++;
  }

  #hearError(_call: V1Call, { code, message }: ErrorEvent): void {
    const isAboutName = code === "name_taken" || code === "name_invalid";
    const [asked, ...others] = this.asked;
    if (!isAboutName || asked === undefined || others.length > 0) {
      throw this.fault(`refused with ${code}: ${message}`);
    }
    this.asked.delete(asked);
    if (foldName(asked) === foldName(this.name ?? "")) {
      throw this.fault(`its own name is refused with ${code}`);
    }
    this.world.tally.refusedNames++;
  }
}
