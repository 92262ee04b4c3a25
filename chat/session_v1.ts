// Owns the dialect `partyline.v1`: hello, identity, catching up, requests.
// Never shows a message before all those that came before it.
// Invariant: `#position` is the newest message the client was sent; a live
// message is passed on only when it is the next one.
import { type Held, NameError } from "./lobby.ts";
import {
  CloseCode,
  DEFAULT_HISTORY,
  encode,
  encodeFrame,
  encodeHistory,
  type ErrorCode,
  type ErrorEvent,
  type Hello,
  MAX_LISTED_MEMBERS,
  parseRequest,
  type Request,
  SERVER_NAME,
  type ServerEvent,
  type WelcomeEvent,
} from "./protocol.ts";
import { LOG_RETRY_MS, type Room, type Turn } from "./room.ts";
import {
  type Farewell,
  type Line,
  Session,
  type Surroundings,
} from "./session.ts";
import { nameProblem } from "./names.ts";

/** How long a client may take to say hello. */
export const HELLO_TIMEOUT_MS = 10_000;

/** How often to look whether a client has read what it catches up on. */
const CATCH_UP_PAUSE_MS = 20;

/** How long a client that catches up may read nothing at all. */
const CATCH_UP_TIMEOUT_MS = 30_000;

export const LOG_FAILED = "The server's log cannot be used now. Try again.";

type State = "silent" | "joining" | "catching up" | "live";

/** What became of a message that came in a request of its own. */
export type Answer =
  | { type: "stored"; event: string }
  | {
    type: "refused";
    code: ErrorCode;
    message: string;
    retryAfterMs: number | undefined;
  }
  | { type: "ended" };

export class V1Session extends Session {
  #state: State = "silent";
  #identity: Held | undefined;
  #key = "";
  #name = "";
  #position = 0;
  readonly #requests = this.newBucket();
  #renaming = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #endPause = () => {};
  /** What a hello came to grief over, which whoever posts is to hear. */
  #failure: Answer | undefined;
  readonly #joined = Promise.withResolvers<void>();
  /** Who waits to hear of a message, by its id. */
  readonly #answers = new Map<string, (answer: Answer) => void>();

  constructor(line: Line, at: Surroundings) {
    super(line, at);
    this.#timer = setTimeout(
      () => this.evict("late_hello"),
      HELLO_TIMEOUT_MS,
    );
  }

  /** As the room knows it: the lobby may have a newer one for a moment. */
  get name(): string {
    return this.#name;
  }

  get hold(): number {
    return this.#identity?.hold ?? 0;
  }

  /** Resolves when it is in the room, or has ended. */
  get joined(): Promise<void> {
    return this.#joined.promise;
  }

  override get key(): string {
    return this.#key;
  }

  /** Names the life of the room's log. */
  get epoch(): string {
    return this.room?.head.epoch ?? "";
  }

  /** Says something, like a frame would, and returns what became of it. */
  async post(message: string, id: string): Promise<Answer> {
    await this.joined;
    if (this.hasEnded) return this.#failure ?? { type: "ended" };
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const earlier = this.#answers.get(id);
    this.#answers.set(id, (answer) => {
      earlier?.(answer);
      resolve(answer);
    });
    this.received(JSON.stringify({ type: "message", message, id }));
    const answer = await promise;
    this.#answers.delete(id);
    return answer;
  }

  stored(event: string, id: string | undefined): void {
    if (id !== undefined) this.#answers.get(id)?.({ type: "stored", event });
  }

  override refuse(
    code: ErrorCode,
    message: string,
    id?: string,
    retryAfterMs?: number,
  ): void {
    const answer = { type: "refused", code, message, retryAfterMs } as const;
    if (id !== undefined) this.#answers.get(id)?.(answer);
    super.refuse(code, message, id, retryAfterMs);
  }

  /** A newer connection came with this one's key. */
  giveWay(): void {
    this.close(CloseCode.takenOver, "continued on another connection");
  }

  deliver(turn: Turn): void {
    this.guard(() => this.#deliver(turn));
  }

  #deliver(turn: Turn): void | Promise<void> {
    const isNext = turn.firstSeq === undefined ||
      turn.firstSeq === this.#position + 1;
    if (this.#state === "live" && isNext) {
      this.#position = turn.lastSeq ?? this.#position;
      return this.send(turn.frame, turn.events);
    }
    if (turn.presence.length > 0) this.#pass(turn.presence);
    if (this.#state === "live") return this.#catchUp();
  }

  acknowledge(event: string, seq: number): void {
    // Who has not come so far yet gets it when catching up.
    if (seq <= this.#position) this.#pass([event]);
  }

  restart(): void {
    this.evict("history_lost");
  }

  lag(): void {
    this.evict("history_moved");
  }

  /** Nothing happens before the client says hello. */
  protected open(): void {}

  protected read(text: string): void | Promise<void> {
    const request = parseRequest(text);
    if (request === undefined) {
      return this.evict("not_json");
    }
    if (request.type === "malformed") {
      return this.refuse("invalid", request.message, request.id);
    }
    if (this.#state === "silent") {
      if (request.type === "hello") return this.#hello(request);
      return this.evict("no_hello");
    }
    if (this.#state === "joining" || request.type === "hello") {
      const message = "Say hello once, then wait for the welcome.";
      const id = request.type === "message" ? request.id : undefined;
      return this.refuse("invalid", message, id);
    }
    if (request.type === "message") {
      return this.say(request.message, this.#identity?.id, request.id);
    }
    const waitMs = this.#requests.take(this.at.world.now());
    if (waitMs === 0) {
      this.serve();
      return this.#answer(request);
    }
    // Nobody misses a sign of typing, but a flood of them has to end.
    if (request.type === "typing") this.blame();
    else this.refuseRate(waitMs);
  }

  protected override foretell(
    why: Farewell,
    hint: string,
    retryAfterMs: number,
  ): void {
    const sentence = `${hint.charAt(0).toUpperCase()}${hint.slice(1)}.`;
    this.complain(why, sentence, undefined, Math.ceil(retryAfterMs));
  }

  protected complain(
    code: ErrorCode,
    message: string,
    id?: string,
    retryAfterMs?: number,
  ): void {
    // Who asked by a request was answered by that, and is not told twice.
    if (id !== undefined && this.#answers.has(id)) return;
    const event: ErrorEvent = {
      type: "error",
      sender: SERVER_NAME,
      code,
      message,
    };
    if (id !== undefined) event.id = id;
    if (retryAfterMs !== undefined) event.retryAfter = retryAfterMs;
    this.#tell(event);
  }

  protected release(): void {
    clearTimeout(this.#timer);
    this.#endPause();
    this.#joined.resolve();
    for (const answer of this.#answers.values()) answer({ type: "ended" });
    if (this.#identity) this.at.lobby.release(this.#identity, this);
  }

  #tell(event: ServerEvent): void {
    this.#pass([encode(event)]);
  }

  #pass(events: readonly string[]): void {
    this.send(encodeFrame(events), events);
  }

  async #hello(hello: Hello): Promise<void> {
    this.#state = "joining";
    clearTimeout(this.#timer);
    const { room } = this;
    if (room === undefined) return;
    try {
      const { identity, key, isNew } = await this.#identify(hello);
      this.#key = key;
      if (this.hasEnded) return;
      await room.open();
      const missed = await this.#missed(room, hello);
      if (this.hasEnded) return;
      const { epoch, events, recovered, position } = missed;
      // The log began anew meanwhile: as for those who are in the room.
      if (epoch !== room.head.epoch) return this.restart();
      // From here to the end of the frame nothing can come between.
      this.#position = position;
      this.#state = "catching up";
      room.join(this);
      this.#joined.resolve();
      // The room may still have to hear what another server has told.
      const seq = recovered ? Math.max(room.head.seq, position) : position;
      const welcome = this.#welcome(room, seq, key, recovered);
      this.#pass([encode(welcome), ...events]);
      if (isNew) this.#tellOfWish(hello.name, identity);
      await this.#catchUp();
    } catch (error) {
      this.note("A hello failed.", error);
      this.#failure = {
        type: "refused",
        code: "log_unavailable",
        message: LOG_FAILED,
        retryAfterMs: LOG_RETRY_MS,
      };
      this.complain("log_unavailable", LOG_FAILED, undefined, LOG_RETRY_MS);
      this.evict("log_unavailable");
    }
  }

  /** Finds the identity of the key, or makes one. */
  async #identify({ key, name }: Hello) {
    const { lobby } = this.at;
    const known = key && await lobby.reclaim(key, this);
    const wish = name === undefined || nameProblem(name) ? undefined : name;
    const identity = known
      ? { ...known, key }
      : await lobby.register(wish, this);
    this.#identity = identity;
    this.#name = identity.name;
    // The end came while the log was asked, and released nothing.
    if (this.hasEnded) lobby.release(identity, this);
    return { identity, key: identity.key, isNew: !known };
  }

  /** Says why a new identity did not get the name it wished for. */
  #tellOfWish(wish: string | undefined, { name }: Held): void {
    if (wish === undefined || wish === name) return;
    const problem = nameProblem(wish);
    if (problem !== undefined) this.complain("name_invalid", problem);
    else this.complain("name_taken", `"${wish}" is taken.`);
  }

  /** The first events for a client, and where it stands after them. */
  async #missed(room: Room, { since, history = DEFAULT_HISTORY }: Hello) {
    const { epoch, seq } = room.head;
    if (since?.epoch === epoch) {
      const events = await room.after(since.seq);
      if (events !== undefined) {
        // What is stored but not delivered yet will come with its turn.
        const reached = Math.max(0, room.head.seq - since.seq);
        const known = events.slice(0, reached);
        const position = since.seq + known.length;
        return { epoch, events: known, recovered: true, position };
      }
    }
    const { events } = await room.before(seq + 1, history);
    return { epoch, events, recovered: since ? false : null, position: seq };
  }

  #welcome(
    room: Room,
    seq: number,
    key: string,
    recovered: boolean | null,
  ): WelcomeEvent {
    const { maxMessage, maxFrame, rate, burst } = this.at.limits;
    const members = [this.name];
    for (const name of room.names()) {
      if (members.length >= MAX_LISTED_MEMBERS) break;
      if (name !== this.name) members.push(name);
    }
    return {
      type: "welcome",
      sender: this.name,
      key,
      room: room.name,
      epoch: room.head.epoch,
      seq,
      recovered,
      members,
      count: room.count,
      limits: { message: maxMessage, frame: maxFrame, rate, burst },
    };
  }

  /** Sends what the client has not seen, page by page, until it is live. */
  async #catchUp(): Promise<void> {
    this.#state = "catching up";
    const { room } = this;
    while (room !== undefined && !this.hasEnded) {
      // Looking and going live are one step, so no turn is lost in between.
      const missing = room.head.seq - this.#position;
      if (missing <= 0) {
        this.#state = "live";
        return;
      }
      await this.#untilRead();
      const page = await room.after(this.#position);
      if (page === undefined) {
        return this.evict("history_moved");
      }
      const events = page.slice(0, missing);
      this.#position += events.length;
      this.#pass(events);
    }
  }

  /** Waits until most of what was sent has left this machine's memory. */
  async #untilRead(): Promise<void> {
    const { overload } = this.at;
    const giveUpAtMs = performance.now() + CATCH_UP_TIMEOUT_MS;
    while (
      !this.hasEnded && this.line.bufferedAmount > overload.sendLimit / 4
    ) {
      if (performance.now() > giveUpAtMs) {
        return this.evict("slow_reader");
      }
      await new Promise<void>((resolve) => {
        this.#timer = setTimeout(resolve, CATCH_UP_PAUSE_MS);
        this.#endPause = resolve;
      });
    }
  }

  /** Does what is asked; what cannot be done is told, not thrown. */
  async #answer(
    request: Exclude<Request, { type: "hello" | "message" }>,
  ): Promise<void> {
    const { room } = this;
    if (room === undefined) return;
    try {
      switch (request.type) {
        case "typing":
          return room.typing(this);
        case "ping":
          return this.#tell({ ...request, type: "pong" });
        case "rename":
          return await this.#rename(room, request.name);
        case "history":
          return await this.#tellHistory(room, request);
      }
    } catch (error) {
      if (error instanceof NameError) {
        return this.refuse(error.code, error.message);
      }
      this.note(`A ${request.type} failed.`, error);
      this.refuse("log_unavailable", LOG_FAILED, undefined, LOG_RETRY_MS);
    }
  }

  /** One after the other: each has to know the name before it. */
  #rename(room: Room, name: string): Promise<void> {
    const renamed = this.#renaming.then(() => this.#renameNow(room, name));
    this.#renaming = renamed.catch(() => {});
    return renamed;
  }

  async #renameNow(room: Room, name: string): Promise<void> {
    if (this.#identity === undefined || this.hasEnded) return;
    const before = this.name;
    await this.at.lobby.rename(this.#identity, name, this);
    // Whoever left meanwhile did so under the name that the room knew.
    if (this.hasEnded || before === name) return;
    this.#name = name;
    room.rename(this, before);
  }

  async #tellHistory(
    room: Room,
    { before, count }: { before: number; count?: number },
  ): Promise<void> {
    const { events, more } = await room.before(
      before,
      count ?? DEFAULT_HISTORY,
    );
    this.#pass([encodeHistory(before, events, more)]);
  }
}
