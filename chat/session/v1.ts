// The dialect `partyline.v1`: hello, identity, requests. A turn that follows
// the client's last message goes out as it is; otherwise the client catches up
// through its `HistoryPager`, which keeps messages in order.
import {
  type Held,
  type Holder,
  JoinLimitError,
  NameError,
} from "../room/identities.ts";
import type {
  DisconnectReason,
  Interruption,
} from "../protocol/close_codes.ts";
import {
  DEFAULT_HISTORY,
  type Hello,
  type MessageRequest,
  parseRequest,
  type Request,
  type SearchRequest,
} from "../protocol/requests.ts";
import {
  encode,
  encodeWelcome,
  type ErrorCode,
  type ErrorEvent,
  seqOf,
  SERVER_NAME,
  type ServerEvent,
} from "../protocol/events.ts";
import {
  encodeFound,
  encodeHistory,
  type EventFrame,
  MAX_SENT_BYTES,
} from "../protocol/frames.ts";
import { type Allowance, FIRST_BURST } from "../room/rates.ts";
import type { Member, Room } from "../room/room.ts";
import type { Turn } from "../room/turn.ts";
import { authorOf } from "../store/keys.ts";
import { STORE_RETRY_MS, StoreError } from "../store/store.ts";
import type { DialectOf } from "./dialect.ts";
import { HistoryPager } from "./history_pager.ts";
import { MAX_SEARCHED, MAX_SEARCHED_BYTES, search } from "./search.ts";
import { BUSY, type Problem, type Session } from "./session.ts";
import { Deadline } from "../ops/deadline.ts";
import { nameProblem, takenProblem } from "../protocol/names.ts";

/** How long a client may take to say hello. */
export const HELLO_TIMEOUT_MS = 10_000;

/** The store cannot be read or written now. */
export const STORE_FAILED = {
  code: "log_unavailable",
  message: "The server cannot read or store messages now. Try again.",
  retryAfterMs: STORE_RETRY_MS,
} as const;

const RENAMED_OFTEN =
  "You change your name too often. Wait a second, then try again.";

/** More pages are requested, of history or of names, than may wait. */
const TOO_MANY_PAGES: Problem = {
  code: "rate_limited",
  message:
    "You asked for too many pages at once. Wait for the pages that you " +
    "asked for before.",
  retryAfterMs: 1_000,
};

const NO_ROOM_LIST =
  "This server does not list its rooms. Its operator can start " +
  "it with --list-rooms.";

/** Why a message cannot answer the one that it names; undefined if it can. */
function replyProblem(
  { replyTo = 0 }: MessageRequest,
  room: Room,
): Problem | undefined {
  if (room.hasReached(replyTo)) return undefined;
  const message =
    `There is no message ${replyTo} in this room to reply to: this ` +
    `was not sent. The newest message is ${room.head.seq}.`;
  return { code: "invalid", message };
}

type OtherRequest = Exclude<Request, { type: "hello" | "message" }>;

type State = "silent" | "joining" | "joined";

/** The outcome for a message that came in a request of its own. */
export type Answer =
  | { type: "stored"; event: string }
  | { type: "refused"; problem: Problem }
  | { type: "ended" };

type Answers = Map<string, (answer: Answer) => void>;

export class V1 implements DialectOf<"text">, Member, Holder {
  readonly frameType = "text";
  #room: Room | undefined;
  #state: State = "silent";
  #identity: Held & { key: string } | undefined;
  #name = "";
  #authorId = "";
  #pager: HistoryPager | undefined;
  #isSupersededHere = false;
  // Most clients need none of these, and there may be thousands of clients.
  #renaming: Promise<void> | undefined;
  #lateHello: Deadline | undefined;
  /** Why the hello failed, for the answer to a client that posts. */
  #failure: Answer | undefined;
  #joined: PromiseWithResolvers<void> | undefined;
  /** Requests that wait for the outcome of a message, by its id. */
  #answers: Answers | undefined;

  constructor(readonly session: Session) {
    this.#lateHello = new Deadline(
      HELLO_TIMEOUT_MS,
      () => session.disconnect("late_hello"),
    );
  }

  /** The name in the room; the hub may have a newer one for a moment. */
  get name(): string {
    return this.#name;
  }

  get authorId(): string {
    return this.#authorId;
  }

  get generation(): number {
    return this.#identity?.generation ?? 0;
  }

  get key(): string {
    return this.#identity?.key ?? "";
  }

  get isUnconfirmed(): boolean {
    return this.session.isUnconfirmed;
  }

  get mayBeBack(): boolean {
    return this.#isSupersededHere || this.session.transport.wasLeft === true;
  }

  /** Resolves when the client is in the room, or the session has ended. */
  get joined(): Promise<void> {
    if (this.#state === "silent" || this.#state === "joining") {
      if (this.session.hasEnded) return Promise.resolve();
      this.#joined ??= Promise.withResolvers();
      return this.#joined.promise;
    }
    return Promise.resolve();
  }

  /**
   * Counts bytes that the client is given again. Returns 0, or the ms until it
   * may be given some.
   */
  repeat(bytes: number): number {
    const nowMs = this.session.at.context.monotonic();
    return this.#identity?.allowance.takeHistory(bytes, nowMs) ?? 0;
  }

  /** Names the life of the room's history. */
  get epoch(): string {
    return this.#room?.head.epoch ?? "";
  }

  /** Keeps the room; everything else waits for the hello. */
  open(room: Room): void {
    this.#room = room;
  }

  /**
   * Receives a frame, or a request from `receiveRequest`, which is parsed
   * already. A refusal at once goes to `onRefusal`, if given, instead of the
   * client.
   */
  receive(
    frame: string | Request,
    onRefusal?: (problem: Problem) => void,
  ): void | Promise<void> {
    const { session } = this;
    const request = typeof frame === "string" ? parseRequest(frame) : frame;
    if (request === undefined) return session.disconnect("not_json");
    if (request.type === "malformed") {
      return this.refuse("invalid", request.message, request.id);
    }
    const room = this.#room;
    if (this.#state === "silent" || room === undefined) {
      if (request.type === "hello" && room) return this.#hello(request, room);
      return session.disconnect("no_hello");
    }
    if (request.type === "hello") {
      return this.refuse("invalid", "Send hello only once.");
    }
    if (this.#state === "joining") {
      const early = session.queueEarly(() => this.receive(request));
      const id = request.type === "message" ? request.id : undefined;
      return early && this.#refuse(early, id);
    }
    const identity = this.#identity;
    // Set as soon as the client is in the room.
    if (identity === undefined) return;
    if (request.type !== "message") {
      return this.#request(request, room, identity);
    }
    const problem = replyProblem(request, room) ??
      session.admit(request.message, identity.allowance) ??
      (room.say(this, request, identity.id) ? undefined : BUSY);
    if (problem === undefined) return;
    session.countRefusal(problem);
    if (onRefusal === undefined) this.#tellError(problem, request.id);
    else onRefusal(problem);
  }

  /**
   * Receives a request that came by HTTP and is parsed already. All limits
   * apply except the size of a frame, which is checked where the body is read.
   */
  receiveRequest(
    request: Request,
    onRefusal?: (problem: Problem) => void,
  ): void {
    const { session } = this;
    session.recorder?.({ type: "received", data: JSON.stringify(request) });
    if (session.hasEnded) return;
    session.guard(() => this.receive(request, onRefusal));
  }

  framesOf(turn: Turn): readonly EventFrame[] {
    const pager = this.#pager;
    // Set before the client comes into the room.
    if (pager === undefined) return [];
    const isNext = turn.firstSeq === undefined ||
      turn.firstSeq === pager.position + 1;
    if (pager.isLive && isNext) {
      pager.position = turn.lastSeq ?? pager.position;
      return turn.frames;
    }
    if (pager.isLive) this.session.guard(() => pager.catchUp());
    return turn.presence;
  }

  acknowledge(event: string, seq: number): void {
    // A client that has not come that far gets the event by catching up.
    if (seq <= (this.#pager?.position ?? 0)) this.session.sendEvents([event]);
  }

  stored(event: string, id: string | undefined): void {
    if (id !== undefined) this.#answers?.get(id)?.({ type: "stored", event });
  }

  refuse(
    code: ErrorCode,
    message: string,
    id?: string,
    retryAfterMs?: number,
  ): void {
    const problem: Problem = { code, message };
    if (retryAfterMs !== undefined) problem.retryAfterMs = retryAfterMs;
    this.#refuse(problem, id);
  }

  #refuse(problem: Problem, id?: string): void {
    const answer = id === undefined ? undefined : this.#answers?.get(id);
    answer?.({ type: "refused", problem });
    this.session.countRefusal(problem);
    // A client that posted the message is told once, in the answer.
    if (answer === undefined) this.#tellError(problem, id);
  }

  restart(): void {
    this.session.disconnect("history_lost");
  }

  lag(): void {
    this.session.disconnect("history_moved");
  }

  /** A newer connection came with the same key. */
  supersede(isHere = false): void {
    this.#isSupersededHere = isHere;
    this.session.disconnect("superseded");
  }

  announceClose(code: Interruption, hint: string, retryAfterMs: number): void {
    this.#tellError({
      code,
      message: `${hint.charAt(0).toUpperCase()}${hint.slice(1)}.`,
      retryAfterMs: Math.ceil(retryAfterMs),
    });
  }

  close(): void {
    this.#lateHello?.cancel();
    this.#pager?.close();
    this.#joined?.resolve();
    const answers = this.#answers?.values() ?? [];
    for (const answer of answers) answer({ type: "ended" });
    if (this.#identity) {
      this.session.at.hub.identities.release(this.#identity, this);
    }
  }

  /** Says something, as a frame would, and returns the outcome. */
  async post(request: MessageRequest): Promise<Answer> {
    const { id } = request;
    await this.joined;
    if (this.session.hasEnded) return this.#failure ?? { type: "ended" };
    const refusals: Problem[] = [];
    this.receiveRequest(request, (problem) => refusals.push(problem));
    const [problem] = refusals;
    if (problem !== undefined) return { type: "refused", problem };
    const { promise, resolve } = Promise.withResolvers<Answer>();
    // The room's outcome is for every request with this id.
    const answers: Answers = this.#answers ??= new Map();
    const earlier = answers.get(id);
    answers.set(id, (answer) => {
      answers.delete(id);
      earlier?.(answer);
      resolve(answer);
    });
    return await promise;
  }

  #tell(event: ServerEvent): void {
    this.session.sendEvents([encode(event)]);
  }

  #tellError({ code, message, retryAfterMs }: Problem, id?: string): void {
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

  async #hello(hello: Hello, room: Room): Promise<void> {
    this.#state = "joining";
    this.#lateHello?.cancel();
    this.#lateHello = undefined;
    try {
      const { identity, isNew } = await this.#identify(hello);
      const pager = new HistoryPager(this.session, room, identity.allowance);
      this.#pager = pager;
      if (this.session.hasEnded) return;
      await room.open();
      const missed = await pager.missed(hello);
      if (missed === undefined || this.session.hasEnded) return;
      const { epoch, events, recovered, position } = missed;
      // The history began anew meanwhile: end, like the members of the room.
      if (epoch !== room.head.epoch) return this.restart();
      // From here to the end of the frame nothing can happen in between.
      pager.begin(position);
      this.#state = "joined";
      room.join(this);
      this.#joined?.resolve();
      // The client may have newer messages than this room, from another server.
      const seq = recovered ? Math.max(room.head.seq, position) : position;
      const welcome = this.#welcome(room, seq, identity.key, recovered, isNew);
      this.session.sendEvents([welcome, ...events]);
      if (isNew) this.#tellOfWish(hello.name, identity);
      this.session.receiveEarly();
      await pager.catchUp();
    } catch (error) {
      if (error instanceof JoinLimitError) {
        return this.#fail(error.reason, error);
      }
      if (!(error instanceof StoreError)) throw error;
      this.session.note("A hello failed.", error);
      this.#fail("log_unavailable", STORE_FAILED);
    }
  }

  /** Ends a hello that failed, and tells a client that posts, too. */
  #fail(
    why: DisconnectReason,
    problem: Problem & { retryAfterMs: number },
  ): void {
    this.#failure = { type: "refused", problem };
    this.#tellError(problem);
    this.session.disconnect(why, problem.retryAfterMs);
  }

  /** Finds the identity of the key, or makes one. */
  async #identify({ key, name }: Hello) {
    const { hub } = this.session.at;
    const known = key && await hub.identities.reclaim(key, this);
    const wish = name === undefined || nameProblem(name) ? undefined : name;
    const identity = known
      ? { ...known, key }
      : await hub.identities.register(wish, this, this.session.at.owner);
    this.#identity = identity;
    this.#name = identity.name;
    this.#authorId = authorOf(identity.id);
    // The end came while the store was asked, and found no identity to release.
    if (this.session.hasEnded) hub.identities.release(identity, this);
    return { identity, isNew: !known };
  }

  /** Says why a new identity did not get the name that it wished for. */
  #tellOfWish(wish: string | undefined, { name }: Held): void {
    if (wish === undefined || wish === name) return;
    const problem = nameProblem(wish);
    this.#tellError(
      problem === undefined
        ? { code: "name_taken", message: takenProblem(wish) }
        : { code: "name_invalid", message: problem },
    );
  }

  #welcome(
    room: Room,
    seq: number,
    key: string,
    recovered: boolean | null,
    isNew: boolean,
  ): string {
    const { maxMessage, maxFrame, rate, burst } = this.session.at.limits;
    return encodeWelcome({
      type: "welcome",
      sender: this.name,
      author: this.authorId,
      key,
      room: room.name,
      epoch: room.head.epoch,
      seq,
      recovered,
      count: room.count,
      limits: {
        message: maxMessage,
        frame: maxFrame,
        rate,
        burst: isNew ? Math.min(burst, FIRST_BURST) : burst,
      },
      listsRooms: this.session.at.hub.listsRooms,
    }, room.listMembers(this.name));
  }

  /** Does what a request asks; a failure is told to the client, not thrown. */
  async #request(
    request: OtherRequest,
    room: Room,
    { allowance }: Held,
  ): Promise<void> {
    const problem = this.#pace(request, allowance);
    if (problem !== undefined) {
      // Nobody misses a sign of typing, but a flood of them has to end.
      if (request.type === "typing") return this.session.countFault();
      return this.#refuse(problem);
    }
    try {
      await this.#fulfil(request, room);
    } catch (error) {
      if (error instanceof NameError) {
        return this.refuse(error.code, error.message);
      }
      if (!(error instanceof StoreError)) throw error;
      this.session.note(`A ${request.type} failed.`, error);
      this.#refuse(STORE_FAILED);
    }
  }

  #pace(request: OtherRequest, allowance: Allowance): Problem | undefined {
    const { session } = this;
    // A deletion is stored and sent to everybody, so it counts as a message.
    if (request.type === "delete") return session.pace("", allowance);
    const { requests } = allowance;
    const waitMs = session.takeToken(requests);
    return waitMs > 0
      ? session.tooFast(waitMs, allowance, requests)
      : undefined;
  }

  #fulfil(request: OtherRequest, room: Room): void | Promise<void> {
    switch (request.type) {
      case "typing":
        return room.typing(this);
      case "ping":
        return this.#tell({ ...request, type: "pong" });
      case "rename":
        return this.#rename(room, request.name);
      case "history":
        return this.#tellHistory(room, request);
      case "delete":
        return this.#delete(room, request.seq);
      case "search":
        return this.#tellFound(room, request);
      case "rooms":
        return this.#tellRooms();
      case "members":
        return this.#tellMembers(room, request);
      default:
        // A type of request without a case is an error of the type check.
        // `receive` handles requests that are said like a message.
        request satisfies never;
    }
  }

  /** One after the other, because each needs to know the name before it. */
  #rename(room: Room, name: string): Promise<void> {
    const before = this.#renaming ?? Promise.resolve();
    const renamed = before.then(() => this.#renameNow(room, name));
    this.#renaming = renamed.catch(() => {});
    return renamed;
  }

  async #renameNow(room: Room, name: string): Promise<void> {
    if (this.#identity === undefined || this.session.hasEnded) return;
    const before = this.name;
    const { hub: { identities }, context } = this.session.at;
    const { id } = this.#identity;
    const waitMs = identities.announcements(id).peek(context.monotonic());
    if (waitMs > 0) {
      return this.refuse("rate_limited", RENAMED_OFTEN, undefined, waitMs);
    }
    await identities.rename(this.#identity, name);
    // A client that left meanwhile did so under the name that the room knew.
    if (this.session.hasEnded || before === name) return;
    identities.announcements(id).take(context.monotonic());
    this.#name = name;
    room.rename(this, before);
  }

  #tellHistory(
    room: Room,
    { before, count = DEFAULT_HISTORY }: { before: number; count?: number },
  ): Promise<void> {
    return this.#tellPage(async () => {
      const { events, more } = await room.before(before, count, MAX_SENT_BYTES);
      return { events, text: encodeHistory(before, events, more) };
    });
  }

  async #delete(room: Room, seq: number): Promise<void> {
    const { outcome, text } = await room.delete(seq, this);
    switch (outcome) {
      case "deleted":
        // The event tells everybody in the room.
        return;
      case "repeated":
        return this.session.sendEvents([text]);
      case "foreign":
        return this.refuse("invalid", "You can delete only your own messages.");
      case "missing":
        return this.refuse(
          "invalid",
          `There is no message ${seq} in the history that can be deleted.`,
        );
    }
  }

  #tellFound(room: Room, request: SearchRequest): Promise<void> {
    const { text, before = Number.MAX_SAFE_INTEGER } = request;
    return this.#tellPage(async () => {
      const { events, more } = await room.before(
        before,
        MAX_SEARCHED,
        MAX_SEARCHED_BYTES,
      );
      const [oldest] = events;
      const next = more && oldest !== undefined ? seqOf(oldest) : undefined;
      const found = search(events, text);
      return { events, text: encodeFound(request, found, next) };
    });
  }

  #tellMembers(room: Room, { after = "" }: { after?: string }): Promise<void> {
    return this.#tellPage(() => {
      const { count } = room;
      const page = room.pageOfMembers(after);
      const text = encode({ type: "members", after, ...page, count });
      return Promise.resolve({ events: [text], text });
    });
  }

  async #tellRooms(): Promise<void> {
    const { hub } = this.session.at;
    if (!hub.listsRooms) return this.refuse("invalid", NO_ROOM_LIST);
    await this.#tellPage(async () => {
      const text = encode({ type: "rooms", ...await hub.listRooms() });
      return { events: [text], text };
    });
  }

  async #tellPage(
    read: () => Promise<{ events: readonly string[]; text: string }>,
  ): Promise<void> {
    const pager = this.#pager;
    if (pager === undefined) return;
    if (!pager.isFull) return await pager.sendPage(read);
    if (pager.isBehind) return this.session.disconnect("slow_reader");
    this.#refuse(TOO_MANY_PAGES);
  }
}
