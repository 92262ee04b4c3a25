// The store of several servers that are one to their clients, on one Redis.
// Each call is one script, which no other server's script can interrupt, so all
// servers see what a script answers. A turn that was answered is never tried
// again; a turn without an answer is tried again under its token. This file has
// the arguments of the scripts, the meaning of their answers, and this server's
// lease; `subscription.ts` makes turns of a room from what is heard.
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { Deadline } from "../../ops/deadline.ts";
import {
  encode,
  encodeDeleted,
  encodeMessage,
  LEAVE_MESSAGE,
  mendEncoded,
  seqOf,
  SERVER_NAME,
} from "../../protocol/events.ts";
import { UNICODE_VERSION } from "../../protocol/confusables.ts";
import { lookOf } from "../../protocol/look_alikes.ts";
import { foldName } from "../../protocol/names.ts";
import { hashSecret, matches, newEpoch, newKey, splitKey } from "../keys.ts";
import {
  type Deleted,
  type Deletion,
  type Deletions,
  type Entry,
  FORGET_AFTER_MS,
  type Generation,
  type Head,
  type Identity,
  type InUse,
  lowestOf,
  MAX_DELETIONS,
  MAX_IDENTITIES,
  NAME_REST_MS,
  type Peer,
  type Peers,
  type Presence,
  type ReadLimit,
  type ServerHandlers,
  type Store,
  type Stored,
  StoreError,
  type Subscriber,
} from "../store.ts";
import { encodeChange } from "../roster.ts";
import { deletionOutcome } from "../deletion.ts";
import { cut, eventsOf } from "../turn_rows.ts";
import {
  ConnectionError,
  databaseOf,
  RedisConnection,
  type Run,
} from "./connection.ts";
import { channelPrefix } from "./scripts.ts";
import { type Position, Subscription } from "./subscription.ts";

/** How long a turn may take before its senders are told. */
const COMMIT_MS = 5_000;
/** A turn that Redis has not begun by then is not stored any more. */
const COMMIT_UNTIL_MS = 4_000;
/** How long turns wait for a connection to Redis that was just lost. */
const GRACE_MS = 2_000;
/** How long `close` waits for calls under way. */
const CLOSE_MS = 1_000;

/** A message changes at most once: when it is deleted. */
const DELETE_TRIES = 2;

/** Beats per lease. */
const BEATS = 3;

/** Rooms or identities that one script forgets or renews. */
const CHUNK = 500;

const MAX_CHARS = 1e15;

interface RedisOptions {
  url: string;
  /** A file with certificates to trust; "" for the system's. */
  ca: string;
  keep: number;
  /** Messages per second of one identity; 0 for no limit. */
  rate: number;
  leaseMs: number;
}

type Call = Parameters<Run>;

/** `used` is `usedAtMs` as Redis wrote it. */
interface RoomUse {
  name: string;
  used: string;
  madeAtMs: number;
  usedAtMs: number;
}

/**
 * The answer of `turn`: epoch, clock (a counter of what was published), the
 * `seq` before the turn, repeats.
 */
type TurnAnswer = [string, string, string, string[]];

interface RedisContext {
  random: () => number;
  /** Receives the reason when Redis is away; none when it is back. */
  noteStatus: (trouble: StoreError | undefined) => void;
}

export class RedisStore implements Store, Peers {
  readonly peers = this;
  readonly #id = randomBytes(9).toString("base64url");
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #subscriptions = new Map<string, Subscription>();
  /** Subscribed rooms whose members on this server are known to Redis. */
  readonly #told = new Set<string>();
  /** Rooms of which Redis may list too many or too few members. */
  readonly #stale = new Set<string>();
  /** Names that could not be given back, and how long each has to rest. */
  readonly #toUnclaim = new Map<string, number>();
  /** Calls that undo others which may have been done without an answer. */
  #toUndo: Call[] = [];
  readonly #questions = new Map<string, (answer: string) => void>();
  /** Questions of other servers that wait for an answer, by server and number. */
  readonly #asked = new Map<string, AbortController>();
  /** Turns that are being stored. */
  readonly #appends = new Set<Promise<void>>();
  #handlers: ServerHandlers | undefined;
  #count = 0;
  #run = "";
  #clock = 0;
  #epoch = "";
  /** Since when the lease was renewed without a break, by `performance.now`. */
  #steadySinceMs = -Infinity;
  /** Redis' clock minus this process' own. */
  #aheadMs = 0;
  #beatTimer: ReturnType<typeof setInterval> | undefined;
  #wipeTimer: ReturnType<typeof setTimeout> | undefined;
  #isClosing = false;

  private constructor(
    private readonly options: RedisOptions,
    private readonly context: RedisContext,
  ) {
    this.#prefix = channelPrefix(databaseOf(options.url));
    this.#connection = new RedisConnection(options.url, options.ca, {
      begin: (run, runId) => this.#begin(run, runId),
      ready: () => this.#isBack(),
      channels: () => this.#channels(),
      lost: (error) => context.noteStatus(error),
    }, context.random);
  }

  /** Connects. Throws a `StoreError` if Redis cannot be used. */
  static async open(
    options: RedisOptions,
    context: RedisContext,
  ): Promise<RedisStore> {
    const store = new RedisStore(options, context);
    await store.#connection.open();
    try {
      await store.#noteLooks();
    } catch (error) {
      store.#connection.close();
      throw error;
    }
    store.#beatTimer = setInterval(
      () => store.#beat().catch(() => {}),
      options.leaseMs / BEATS,
    );
    return store;
  }

  /** Once, for names that were given before looks were noted, or by another table. */
  async #noteLooks(): Promise<void> {
    let cursor = "0";
    do {
      const [next, rows] = await this.#ask<[string, string[]]>(
        "names",
        ...[cursor, UNICODE_VERSION],
      );
      cursor = next;
      const looks = pairs(rows)
        .flatMap(([id, name]) => [id, name, lookOf(name)]);
      const version = cursor === "0" ? UNICODE_VERSION : "";
      await this.#ask("note_looks", version, ...looks);
    } while (cursor !== "0");
  }

  join(handlers: ServerHandlers): void {
    this.#handlers = handlers;
  }

  async close(): Promise<void> {
    clearInterval(this.#beatTimer);
    clearTimeout(this.#wipeTimer);
    this.#isClosing = true;
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(timeout.resolve, CLOSE_MS);
    const departure = Promise.all(this.#appends)
      .then(() => this.#reap(this.#id, true))
      .catch(() => {});
    await Promise.race([departure, timeout.promise]);
    clearTimeout(timer);
    this.#connection.close();
  }

  // History and identities.

  async head(room: string): Promise<Head> {
    const [epoch, seq] = await this.#ask<string[]>("head", room, newEpoch());
    return { epoch: epoch ?? "", seq: Number(seq) };
  }

  async after(room: string, seq: number, limit: ReadLimit, epoch = "") {
    const rows = await this.#ask<string[] | null>(
      "after",
      ...this.#range(room, seq, limit, epoch),
    );
    const events = rows && pairs(rows)
      .flatMap(([last, events]) =>
        eventsOf({ last_seq: Number(last), events }, seq, Infinity)
      );
    const [first] = events ?? [];
    if (!events || first && seqOf(first) !== seq + 1) return undefined;
    return cut(events, limit, "start");
  }

  async before(room: string, seq: number, limit: ReadLimit, epoch = "") {
    const [newest, ...rows] = await this.#ask<string[]>(
      "before",
      ...this.#range(room, seq, limit, epoch),
    );
    // The messages are lost, but that does not make this the beginning.
    if (newest === undefined) return { events: [], more: true };
    const floor = Math.max(0, Number(newest) - this.options.keep);
    const found = pairs(rows).reverse().flatMap(([last, events]) =>
      eventsOf({ last_seq: Number(last), events }, floor, seq)
    );
    const events = cut(found, limit, "end");
    const next = events[0] === undefined
      ? Math.min(seq - 1, Number(newest))
      : seqOf(events[0]) - 1;
    const isAll = events.length === found.length && found.length === 0 &&
      limit.count > 0;
    return { events, more: !isAll && next > floor };
  }

  #range(
    room: string,
    seq: number,
    { count, chars }: ReadLimit,
    epoch: string,
  ) {
    const { keep } = this.options;
    const bytes = Math.min(chars, MAX_CHARS);
    return [room, seq, keep, count, bytes, epoch, newEpoch()] as const;
  }

  /** Reads the event; the script replaces it only if it is still the same. */
  async delete(
    room: string,
    { target, author, epoch, text }: Deletion,
  ): Promise<Deleted> {
    const { keep } = this.options;
    for (let tries = 0; tries < DELETE_TRIES; tries++) {
      const found = await this.#ask<string>(
        "event",
        ...[room, target, keep, epoch, newEpoch()],
      );
      const outcome = deletionOutcome(found || undefined, author);
      if (outcome !== "deleted") return outcome;
      const deleted = encodeDeleted(mendEncoded(found));
      const values = [room, target, found, deleted, text, newEpoch()];
      if (await this.#ask("delete", ...values) !== 1) continue;
      this.#wipeIn(0);
      return outcome;
    }
    throw new StoreError("A message was changed while it was deleted.");
  }

  /** Has Redis wipe what was deleted, on whichever server, until nothing waits. */
  #wipeIn(ms: number): void {
    this.#wipeTimer ??= setTimeout(async () => {
      // If it fails, it is tried again after the next beat.
      const nextMs = await this.#ask<number>("wipe", newEpoch()).catch(() => 0);
      this.#wipeTimer = undefined;
      if (nextMs > 0 && !this.#isClosing) this.#wipeIn(nextMs);
    }, ms);
  }

  async deletions(
    room: string,
    seq: number,
    count: number,
    epoch: string,
  ): Promise<Deletions> {
    const values = [room, seq, count, epoch, newEpoch()];
    const [isComplete, events] = await this.#ask<[number, string[]]>(
      "deletions",
      ...values,
    );
    return { events, isComplete: isComplete === 1 };
  }

  async identify(key: string): Promise<Identity | undefined> {
    const { id, secret } = splitKey(key);
    const [hash, name] = await this.#ask<(string | null)[]>("identity", id);
    if (!hash || !name) return undefined;
    if (!matches(secret, Buffer.from(hash, "base64"))) return undefined;
    this.#tell("touch", id);
    return { id, name };
  }

  async register(name: string, fullInMs = 0) {
    const { id, secret, key } = newKey();
    const hash = hashSecret(secret).toString("base64");
    const folded = foldName(name);
    const [generation, clock] = await this.#askOrUndo<string[]>(
      [
        ...["register", id, name, folded, hash, this.#id] as const,
        ...[Math.ceil(fullInMs), lookOf(name)],
      ],
      ["forget_identities", id, ""],
    );
    if (generation === undefined) return undefined;
    this.#noteClock(Number(clock));
    return { id, name, key, generation: Number(generation) };
  }

  async rename(
    { id, name: before, generation }: Identity & { generation: Generation },
    name: string,
  ): Promise<boolean> {
    const to = (
      name: string,
    ): Call => [
      ...["rename", id, name, foldName(name), generation] as const,
      ...[NAME_REST_MS, lookOf(name)],
    ];
    return await this.#askOrUndo(to(name), to(before)) === 1;
  }

  async forget(inUse: InUse): Promise<void> {
    for (const ids of chunks([...inUse.identities])) {
      await this.#ask("touch", ...ids);
    }
    for (const rooms of chunks([...inUse.rooms])) {
      await this.#ask("use_rooms", ...rooms);
    }
    // Rooms and identities in use on other servers are found again, not
    // forgotten.
    for (let count = 1; count > 0;) {
      const [rooms, ids, surplus] = await this.#ask<
        [string[], string[], number]
      >("forgettable", MAX_IDENTITIES);
      count = await this.#ask<number>("forget_rooms", ...rooms) +
        await this.#ask<number>("forget_identities", ...ids);
      if (count === 0 && surplus > 0) await this.#forgetLowest(surplus, inUse);
    }
  }

  async #forgetLowest(surplus: number, inUse: InUse): Promise<void> {
    const rooms = new Map<string, RoomUse>();
    let cursor = "0";
    do {
      const [next, page] = await this.#ask<[string, string[]]>("sizes", cursor);
      for (let i = 0; i < page.length; i += 4) {
        const [name = "", seq, made = "", used = ""] = page.slice(i, i + 4);
        if (inUse.rooms.has(name)) continue;
        // Nobody knows of an older room when it was made.
        const madeAtMs = Number(made || Number(used) - FORGET_AFTER_MS);
        const usedAtMs = seq === "0" ? madeAtMs : Number(used);
        rooms.set(name, { name, used, madeAtMs, usedAtMs });
      }
      cursor = next;
    } while (cursor !== "0");
    const forgotten = lowestOf([...rooms.values()], surplus)
      .flatMap(({ name, used }) => [name, used]);
    for (const some of chunks(forgotten)) {
      await this.#ask("forget_rooms", ...some);
    }
  }

  // Turns.

  /** Tries a turn under its token, until answered, refused or too late. */
  async append(
    room: string,
    entries: readonly Entry[],
    nowMs: number,
  ): Promise<Stored[]> {
    if (this.#subscriptions.has(room)) this.#told.add(room);
    const endsAtMs = performance.now() + COMMIT_MS;
    const values = this.#turnValues(room, entries, nowMs, endsAtMs);
    const done = Promise.withResolvers<void>();
    this.#appends.add(done.promise);
    try {
      for (let isRetry = false;; isRetry = true) {
        const waitMs = isRetry
          ? endsAtMs - performance.now()
          : GRACE_MS - this.#connection.awayMs;
        if (!await this.#connection.isReadyWithin(waitMs)) {
          throw new StoreError("Redis cannot be reached.", isRetry);
        }
        try {
          const [, clock, before, repeats] = await this.#connection
            .run("turn", ...values(isRetry)) as TurnAnswer;
          this.#noteClock(Number(clock));
          return readStored(entries, Number(before), repeats);
        } catch (error) {
          if (!(error instanceof ConnectionError)) throw error;
        }
      }
    } catch (error) {
      this.#stale.add(room);
      throw error;
    } finally {
      this.#appends.delete(done.promise);
      done.resolve();
    }
  }

  /** How many ms refill an identity's burst by one message. */
  get #messageMs(): number {
    const { rate } = this.options;
    return rate === 0 ? 0 : 1000 / rate;
  }

  /** The arguments of the script `turn`, for the first and for later tries. */
  #turnValues(
    room: string,
    entries: readonly Entry[],
    nowMs: number,
    endsAtMs: number,
  ) {
    const epoch = this.#subscriptions.get(room)?.epoch ?? "";
    const token = `${this.#id} ${++this.#count}`;
    const untilMs = endsAtMs - COMMIT_MS + COMMIT_UNTIL_MS;
    const values = entries.flatMap((entry) => valuesOf(entry, nowMs));
    return (isRetry: boolean) => [
      ...[room, this.#id, this.options.keep, newEpoch(), token],
      ...[Math.floor(untilMs + this.#aheadMs), isRetry ? 1 : 0],
      ...[epoch, this.#messageMs, ...values],
    ];
  }

  #noteClock(clock: number): void {
    this.#clock = Math.max(this.#clock, clock);
  }

  /** Listens first, so that no turn is missed between that and the snapshot. */
  async subscribe(room: string, subscriber: Subscriber): Promise<void> {
    const subscription = new Subscription(subscriber, this.#id, {
      read: (seq, limit, epoch) => this.after(room, seq, limit, epoch),
      sync: (members) => this.#sync(room, members),
      deletions: (seq, epoch) =>
        this.deletions(room, seq, MAX_DELETIONS, epoch),
      noteStatus: (trouble) => this.context.noteStatus(trouble),
      noteClock: (clock) => this.#noteClock(clock),
    });
    const channel = this.#channel(room);
    const { hear } = subscription;
    this.#subscriptions.get(room)?.close();
    this.#subscriptions.set(room, subscription);
    const isWanted = () => this.#subscriptions.get(room) === subscription;
    try {
      await this.#connection.follow(channel, hear, isWanted);
      // Its room may have gone meanwhile, and another one have subscribed.
      if (isWanted()) await subscription.open();
    } catch (error) {
      // Otherwise its listener would stay beside that of the next try.
      if (isWanted()) this.unsubscribe(room, subscriber);
      throw error;
    }
  }

  unsubscribe(room: string, subscriber: Subscriber): void {
    const subscription = this.#subscriptions.get(room);
    if (subscription?.subscriber !== subscriber) return;
    subscription.close();
    this.#subscriptions.delete(room);
    this.#connection.unfollow(this.#channel(room));
    // If nobody ever joined here, Redis knows nothing of it: during an outage
    // that is every room.
    if (this.#told.delete(room)) this.#stale.add(room);
  }

  resync(room: string): void {
    this.#subscriptions.get(room)?.resync();
  }

  async rooms(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for (const node of await this.#ask<string[]>("nodes")) {
      let cursor = "0";
      do {
        const [next, page] = await this.#ask<[string, string[]]>(
          "rooms",
          ...[node, cursor],
        );
        for (const [name, count] of pairs(page)) {
          if (count !== "0") counts.set(name, Number(count));
        }
        cursor = next;
      } while (cursor !== "0");
    }
    return counts;
  }

  draw(room: string, frame: ArrayBuffer, by: object): void {
    // A loss here costs the other servers nothing.
    if (!this.#subscriptions.get(room)?.subscriber.drawn(frame, by)) return;
    this.#tell("draw", room, this.#id, Buffer.from(frame).toString("base64"));
  }

  /** Makes `members` all that this server has in the room. */
  async #sync(
    room: string,
    members: readonly Presence[],
  ): Promise<Position> {
    const nowMs = Date.now();
    const isStale = this.#stale.delete(room) || members.length > 0;
    const [epoch, seq, clock, names] = await this.#ask<
      [string, string, string, string[]]
    >(
      "sync",
      ...[room, this.#id, newEpoch(), ...joinTexts(nowMs)],
      ...leaveTexts(nowMs),
      ...members.flatMap(({ name, generation }) => [name, generation]),
    ).catch((error) => {
      if (isStale) this.#stale.add(room);
      throw error;
    });
    return { epoch, seq: Number(seq), clock: Number(clock), names };
  }

  async claim(name: string): Promise<boolean> {
    const values = [foldName(name), this.#id, lookOf(name)];
    return await this.#ask("claim", ...values) === 1;
  }

  unclaim(name: string, restMs: number): void {
    this.#unclaim(foldName(name), restMs);
  }

  #unclaim(folded: string, restMs: number): void {
    this.#connection.run("unclaim", folded, this.#id, restMs)
      .catch(() => this.#toUnclaim.set(folded, restMs));
  }

  async acquire({ id, name: known }: Identity) {
    const [generation, name = "", full] = await this.#ask<string[]>(
      "acquire",
      ...[id, this.#id, known, lookOf(known)],
    );
    return generation === undefined
      ? undefined
      : { generation: Number(generation), name, fullInMs: Number(full) };
  }

  async superseded(held: ReadonlyMap<string, Generation>): Promise<string[]> {
    const lost: string[] = [];
    for (const some of chunks([...held])) {
      lost.push(
        ...await this.#ask<string[]>("superseded", this.#id, ...some.flat()),
      );
    }
    return lost;
  }

  release(identity: string, generation: Generation): void {
    this.#tell("release", identity, this.#id, generation);
  }

  async peerOf(identity: string): Promise<Peer | undefined> {
    const node = await this.#ask<string>("where", identity);
    if (node === "" || node === this.#id) return undefined;
    return {
      ask: (...question) => this.#askPeer(node, ...question),
    };
  }

  async #askPeer(
    node: string,
    question: string,
    waitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const number = `${++this.#count}`;
    const { promise, resolve } = Promise.withResolvers<string>();
    const late = Promise.withResolvers<void>();
    this.#questions.set(number, resolve);
    const deadline = new Deadline(waitMs, late.resolve);
    const onAbort = () =>
      this.#tell("tell", node, `drop ${this.#id} ${number}`);
    try {
      const text = `pass ${this.#id} ${number} ${question}`;
      const isThere = await this.#ask<number>("tell", node, text) > 0;
      if (signal?.aborted) onAbort();
      signal?.addEventListener("abort", onAbort);
      const answer = isThere
        ? await Promise.race([promise, late.promise])
        : undefined;
      if (answer !== undefined) return answer;
      throw new StoreError("Another server did not answer.");
    } finally {
      deadline.cancel();
      signal?.removeEventListener("abort", onAbort);
      this.#questions.delete(number);
    }
  }

  // The connection.

  #channel(room: string): string {
    return `${this.#prefix}turn:${room}`;
  }

  *#channels(): Iterable<[string, (text: string) => void]> {
    yield [`${this.#prefix}node:${this.#id}`, this.#hear];
    for (const [room, { hear }] of this.#subscriptions) {
      yield [this.#channel(room), hear];
    }
  }

  async #begin(run: Run, runId: string): Promise<void> {
    const [epoch = "", clock] = await run(
      "begin",
      ...[runId, this.#run, this.#clock, newEpoch()],
    ) as string[];
    if (this.#run !== "") this.#steadySinceMs = performance.now();
    this.#run = runId;
    this.#clock = Number(clock);
    this.#epoch = epoch;
    await this.#beatBy(run);
  }

  #isBack(): void {
    this.context.noteStatus(undefined);
    // First of all, before anybody is given one of these names.
    const undone = this.#toUndo;
    this.#toUndo = [];
    for (const call of undone) this.#askOrUndo(call, call).catch(() => {});
    const kept = [...this.#toUnclaim];
    this.#toUnclaim.clear();
    for (const [folded, restMs] of kept) this.#unclaim(folded, restMs);
    this.#resync();
  }

  /**
   * Renews the lease, and shows whether Redis can be written even when no
   * message comes.
   */
  async #beat(): Promise<void> {
    try {
      await this.#beatBy((script, ...values) => this.#ask(script, ...values));
      this.context.noteStatus(undefined);
    } catch (error) {
      this.#steadySinceMs = performance.now();
      if (!this.#isClosing) this.context.noteStatus(error as StoreError);
      throw error;
    }
    this.#wipeIn(0);
    await this.#mendRooms();
  }

  /** Renews the lease, and takes dead servers' members out of their rooms. */
  async #beatBy(run: Run): Promise<void> {
    const { leaseMs } = this.options;
    const [epoch, clock, redisMs, had, ...dead] = await run(
      "beat",
      ...[this.#id, leaseMs, newEpoch()],
    ) as string[];
    // Rather too late than too early: an answer takes a while.
    this.#aheadMs = Number(redisMs) - performance.now();
    this.#noteClock(Number(clock));
    const isForgotten = had === "0" || epoch !== this.#epoch;
    this.#epoch = epoch ?? "";
    if (isForgotten && this.#connection.isReady) this.#resync();
    // If this server had to wait for Redis, the others had to as well.
    if (performance.now() - this.#steadySinceMs < leaseMs) return;
    for (const node of dead) {
      if (node !== this.#id) await this.#reap(node, false, run);
    }
  }

  async #reap(
    node: string,
    isForced: boolean,
    run: Run = (script, ...values) => this.#ask(script, ...values),
  ): Promise<void> {
    while (
      await run(
        "reap",
        ...[node, ...leaveTexts(Date.now()), NAME_REST_MS, newEpoch()],
        isForced ? 1 : 0,
      ) !== 1
    );
  }

  /** Redis and this server may be wrong about each other: compares both. */
  #resync(): void {
    this.#handlers?.rejoin();
    for (const [room, subscription] of this.#subscriptions) {
      this.#stale.delete(room);
      subscription.resync();
    }
    this.#mendRooms().catch(() => {});
  }

  async #mendRooms(): Promise<void> {
    for (const room of [...this.#stale]) {
      const subscription = this.#subscriptions.get(room);
      if (subscription === undefined) await this.#sync(room, []);
      else if (this.#stale.delete(room)) subscription.resync();
    }
  }

  /** Receives another server's text for this one. */
  readonly #hear = (text: string): void => {
    const [, kind, one = "", two = "", rest = ""] =
      /^(\w+) (\S+) (\S+) ?([^]*)$/.exec(text) ?? [];
    // Older servers on the same Redis use this word for it.
    if (kind === "way") this.#handlers?.supersede(one, Number(two));
    if (kind === "answer") this.#questions.get(two)?.(rest);
    if (kind === "pass") this.#answer(one, two, rest);
    if (kind === "drop") this.#asked.get(`${one} ${two}`)?.abort();
  };

  async #answer(node: string, number: string, question: string): Promise<void> {
    if (this.#handlers === undefined) return;
    const name = `${node} ${number}`;
    const asked = new AbortController();
    this.#asked.set(name, asked);
    const answer = await this.#handlers.answer(question, asked.signal);
    this.#asked.delete(name);
    this.#tell("tell", node, `answer ${this.#id} ${number} ${answer}`);
  }

  #ask<T>(...call: Call): Promise<T> {
    return this.#connection.run(...call) as Promise<T>;
  }

  /** Makes a call; undoes one without an answer when Redis is back. */
  async #askOrUndo<T>(call: Call, undo: Call): Promise<T> {
    const isSent = this.#connection.isReady;
    try {
      return await this.#ask<T>(...call);
    } catch (error) {
      if (isSent && error instanceof ConnectionError) this.#toUndo.push(undo);
      throw error;
    }
  }

  /** Expects no answer: the next resync mends what is lost on the way. */
  #tell(...call: Call): void {
    this.#connection.run(...call).catch(() => {});
  }
}

/** An entry as the script `turn` reads it. */
function valuesOf(entry: Entry, nowMs: number): string[] {
  switch (entry.kind) {
    case "message": {
      const { text, identity = "", id } = entry;
      // In JSON, like the ids that are remembered already.
      const safeId = id === undefined ? "" : JSON.stringify(id);
      return ["m", text, identity, safeId];
    }
    case "join":
    case "leave": {
      const { name, generation } = entry.member;
      const kind = entry.kind === "join" ? "j" : "l";
      // The script adds the number of people, on all servers.
      const text = encodeChange(entry, 0).text.slice(0, -"0}".length);
      return [kind, name, `${generation}`, text];
    }
    case "rename": {
      const { before, member: { name, generation } } = entry;
      return [
        ...["r", before, name, `${generation}`, foldName(before)],
        ...[encodeChange(entry, 0).text, ...leaveTexts(nowMs)],
      ];
    }
    case "ephemeral":
      return ["p", entry.text];
  }
}

/** `repeats`: index, seq and event of each; `before`: the seq before all. */
function readStored(
  entries: readonly Entry[],
  before: number,
  repeats: string[],
): Stored[] {
  const drafts = entries.filter((entry) => entry.kind === "message");
  const known = new Map<number, { seq: number; event: string }>();
  for (let i = 0; i < repeats.length; i += 3) {
    const [index, seq, event = ""] = repeats.slice(i, i + 3);
    known.set(Number(index), { seq: Number(seq), event });
  }
  let next = before;
  return drafts.map(({ text }, i) => {
    const repeat = known.get(i);
    const seq = repeat?.seq ?? ++next;
    const event = mendEncoded(repeat?.event ?? "") || encodeMessage(seq, text);
    return { text: event, seq, isRepeat: repeat !== undefined };
  });
}

// A name has neither quotes nor backslashes, so a script can insert it.

function joinTexts(nowMs: number): [string, string] {
  const at = new Date(nowMs).toISOString();
  return around(encode({ type: "join", at, sender: SERVER_NAME, count: 0 }));
}

function leaveTexts(nowMs: number): [string, string] {
  const at = new Date(nowMs).toISOString();
  return around(encode({
    type: "leave",
    at,
    sender: SERVER_NAME,
    message: LEAVE_MESSAGE,
    count: 0,
  }));
}

/** The text before the name, and the text between the name and the count. */
function around(event: string): [string, string] {
  const [head = "", tail = ""] = event.split(`"${SERVER_NAME}"`);
  return [`${head}"`, `"${tail.slice(0, -"0}".length)}`];
}

function pairs(flat: string[]): [string, string][] {
  return Array.from(
    { length: flat.length / 2 },
    (_, i) => [flat[2 * i] ?? "", flat[2 * i + 1] ?? ""],
  );
}

function* chunks<T>(items: T[]): Iterable<T[]> {
  for (let i = 0; i < items.length; i += CHUNK) yield items.slice(i, i + CHUNK);
}
