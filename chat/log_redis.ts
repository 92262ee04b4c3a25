// Owns the contract of a shared log on Redis: what its scripts are given, what
// their answers mean, and this server's lease. Never decides an order.
// Invariant: what a script answers is what all servers see; a turn that was
// answered is never tried again, one that was not is tried under its token.
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import {
  cut,
  type Draft,
  eventsOf,
  foldName,
  hashSecret,
  type Head,
  type Identity,
  type InUse,
  LogError,
  matches,
  MAX_IDENTITIES,
  MAX_ROOMS_KEPT,
  newEpoch,
  newKey,
  type ReadLimit,
  splitKey,
  type Stored,
} from "./log.ts";
import type {
  Entry,
  Follower,
  Node,
  Presence,
  SharedLog,
  Snapshot,
} from "./log_shared.ts";
import { encode, encodeMessage, seqOf, SERVER_NAME } from "./protocol.ts";
import { databaseOf, LinkError, RedisLink, type Run } from "./redis_link.ts";
import { channelPrefix } from "./redis_scripts.ts";

/** How long a turn may take until its senders are told. */
export const COMMIT_MS = 5_000;
/** After this Redis does not begin with it any more. */
const COMMIT_UNTIL_MS = 4_000;
/** How long turns wait for a log that was lost just now. */
const GRACE_MS = 2_000;
/** How long `close` waits for what is under way. */
const CLOSE_MS = 1_000;

/** Beats in the time of a lease. */
const BEATS = 3;

/**
 * An assigned name stays unused this long after its server died, and one that
 * was given up for another until that was told, at most as long.
 */
const NAME_REST_MS = 60_000;

/** Of what is forgotten or renewed, so many at a time. */
const CHUNK = 500;

const MAX_CHARS = 1e15;

export interface RedisOptions {
  url: string;
  /** A file with certificates to trust; "" for the system's. */
  ca: string;
  keep: number;
  leaseMs: number;
}

type Call = Parameters<Run>;

export interface RedisWorld {
  random: () => number;
  /** Hears when Redis is away, and without a reason when it is back. */
  told: (trouble: LogError | undefined) => void;
}

export class RedisLog implements SharedLog {
  readonly #id = randomBytes(9).toString("base64url");
  readonly #link: RedisLink;
  readonly #prefix: string;
  readonly #followers = new Map<string, Follower>();
  /** Followed rooms of which Redis was told who is there. */
  readonly #told = new Set<string>();
  /** Rooms of which Redis may know too much or too little. */
  readonly #stale = new Set<string>();
  /** Names that could not be given back, and how long each is to rest. */
  readonly #kept = new Map<string, number>();
  /** What was perhaps done without anybody hearing of it, to be undone. */
  #toUndo: Call[] = [];
  readonly #asked = new Map<string, (answer: string) => void>();
  readonly #commits = new Set<Promise<unknown>>();
  #node: Node | undefined;
  #count = 0;
  #run = "";
  #clock = 0;
  #epoch = "";
  /** Since when its lease was renewed without a break, by `performance.now`. */
  #steadySinceMs = -Infinity;
  /** Redis' clock less this process' own. */
  #aheadMs = 0;
  #beatTimer: ReturnType<typeof setInterval> | undefined;
  #isClosing = false;

  private constructor(
    private readonly options: RedisOptions,
    private readonly world: RedisWorld,
  ) {
    this.#prefix = channelPrefix(databaseOf(options.url));
    this.#link = new RedisLink(options.url, options.ca, {
      begin: (run, runId) => this.#begin(run, runId),
      ready: () => this.#isBack(),
      channels: () => this.#channels(),
      heard: (channel, text) => this.#heard(channel, text),
      lost: (error) => world.told(error),
    }, world.random);
  }

  /** Connects. Throws a `LogError` if Redis cannot be used. */
  static async open(
    options: RedisOptions,
    world: RedisWorld,
  ): Promise<RedisLog> {
    const log = new RedisLog(options, world);
    await log.#link.open();
    log.#beatTimer = setInterval(
      () => log.#beat().catch(() => {}),
      options.leaseMs / BEATS,
    );
    return log;
  }

  join(node: Node): void {
    this.#node = node;
  }

  async close(): Promise<void> {
    clearInterval(this.#beatTimer);
    this.#isClosing = true;
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(timeout.resolve, CLOSE_MS);
    const departure = Promise.allSettled(this.#commits)
      .then(() => this.#reap(this.#id, true))
      .catch(() => {});
    await Promise.race([departure, timeout.promise]);
    clearTimeout(timer);
    this.#link.close();
  }

  // The log.

  async head(room: string): Promise<Head> {
    const [epoch, seq] = await this.#ask<string[]>("head", room, newEpoch());
    return { epoch: epoch ?? "", seq: Number(seq) };
  }

  append(room: string, drafts: readonly Draft[], nowMs: number) {
    const entries = drafts.map((draft) =>
      ({ kind: "message", draft }) as const
    );
    return this.commit(room, entries, nowMs);
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
    // Lost, which is not to say that this was the beginning.
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

  async identify(key: string, nowMs: number): Promise<Identity | undefined> {
    const { id, secret } = splitKey(key);
    const [hash, name] = await this.#ask<(string | null)[]>("identity", id);
    if (!hash || !name) return undefined;
    if (!matches(secret, Buffer.from(hash, "base64"))) return undefined;
    this.#tell("touch", nowMs, id);
    return { id, name };
  }

  async register(name: string, nowMs: number) {
    const { id, secret, key } = newKey();
    const hash = hashSecret(secret).toString("base64");
    const folded = foldName(name);
    const [hold, clock] = await this.#askOrUndo<string[]>(
      ["register", id, name, folded, hash, nowMs, this.#id],
      ["forgetIdentities", id, nowMs],
    );
    if (hold === undefined) return undefined;
    this.#clock = Math.max(this.#clock, Number(clock));
    return { id, name, key, hold: Number(hold) };
  }

  async rename(
    { id, name: before }: Identity,
    name: string,
    hold = 0,
  ): Promise<boolean> {
    const to = (
      name: string,
    ): Call => ["rename", id, name, foldName(name), hold, NAME_REST_MS];
    return await this.#askOrUndo(to(name), to(before)) === 1;
  }

  async isReserved(name: string): Promise<boolean> {
    return await this.#ask("reserved", foldName(name)) === 1;
  }

  async forget(nowMs: number, inUse: InUse): Promise<void> {
    for (const ids of chunks([...inUse.identities])) {
      await this.#ask("touch", nowMs, ...ids);
    }
    for (const rooms of chunks([...inUse.rooms])) {
      await this.#ask("useRooms", nowMs, ...rooms);
    }
    // Who is there by another server is not forgotten, and found again.
    for (let count = 1; count > 0;) {
      const [rooms, ids, surplus] = await this.#ask<
        [string[], string[], number]
      >("forgettable", nowMs, MAX_IDENTITIES);
      count = await this.#ask<number>("forgetRooms", ...rooms) +
        await this.#ask<number>("forgetIdentities", ...ids);
      if (count === 0 && surplus > 0) await this.#forgetSmallest(inUse);
    }
  }

  async #forgetSmallest(inUse: InUse): Promise<void> {
    const rooms = new Map<string, { seq: number; used: string }>();
    let cursor = "0";
    do {
      const [next, page] = await this.#ask<[string, string[]]>("sizes", cursor);
      for (let i = 0; i < page.length; i += 3) {
        const [name = "", seq, used = ""] = page.slice(i, i + 3);
        rooms.set(name, { seq: Number(seq), used });
      }
      cursor = next;
    } while (cursor !== "0");
    const surplus = [...rooms].sort(([, a], [, b]) => b.seq - a.seq)
      .slice(MAX_ROOMS_KEPT)
      .filter(([name]) => !inUse.rooms.has(name))
      .flatMap(([name, { used }]) => [name, used]);
    for (const some of chunks(surplus)) await this.#ask("forgetRooms", ...some);
  }

  // What servers share beside it.

  commit(room: string, entries: readonly Entry[], nowMs: number, epoch = "") {
    const commit = this.#commit(room, entries, nowMs, epoch);
    this.#commits.add(commit);
    const isDone = () => this.#commits.delete(commit);
    commit.then(isDone, isDone);
    return commit;
  }

  async #commit(
    room: string,
    entries: readonly Entry[],
    nowMs: number,
    known: string,
  ) {
    const drafts = entries.flatMap((entry) =>
      entry.kind === "message" ? [entry.draft] : []
    );
    if (this.#followers.has(room)) this.#told.add(room);
    try {
      const [epoch, clock, before, repeats] = await this.#insist(
        room,
        nowMs,
        known,
        entries.flatMap((entry) => valuesOf(entry, nowMs)),
      );
      this.#clock = Math.max(this.#clock, Number(clock));
      return { epoch, stored: readStored(drafts, Number(before), repeats) };
    } catch (error) {
      this.#stale.add(room);
      throw error;
    }
  }

  /** Tries a turn until it is answered, refused or too late. */
  async #insist(
    room: string,
    nowMs: number,
    epoch: string,
    values: string[],
  ) {
    const token = `${this.#id} ${++this.#count}`;
    const endsAtMs = performance.now() + COMMIT_MS;
    const untilMs = endsAtMs - COMMIT_MS + COMMIT_UNTIL_MS;
    let isRetry = false;
    while (true) {
      const waitMs = isRetry
        ? endsAtMs - performance.now()
        : GRACE_MS - this.#link.awayMs;
      if (!await this.#link.isReadyWithin(waitMs)) {
        throw new LogError("Redis is away.", isRetry);
      }
      try {
        return await this.#ask<[string, string, string, string[]]>(
          "turn",
          ...[room, this.#id, nowMs, this.options.keep, newEpoch(), token],
          ...[Math.floor(untilMs + this.#aheadMs), isRetry ? 1 : 0],
          ...[epoch, ...values],
        );
      } catch (error) {
        if (!(error instanceof LinkError)) throw error;
        isRetry = true;
      }
    }
  }

  async follow(room: string, follower: Follower): Promise<void> {
    this.#followers.set(room, follower);
    const isWanted = () => this.#followers.get(room) === follower;
    await this.#link.follow(this.#channel(room), isWanted);
  }

  unfollow(room: string, follower: Follower): void {
    if (this.#followers.get(room) !== follower) return;
    this.#followers.delete(room);
    this.#link.unfollow(this.#channel(room));
    // Not where nobody came in: while Redis is away that is every room.
    if (this.#told.delete(room)) this.#stale.add(room);
  }

  draw(room: string, frame: ArrayBuffer): void {
    this.#tell("draw", room, this.#id, Buffer.from(frame).toString("base64"));
  }

  async sync(
    room: string,
    members: readonly Presence[],
    nowMs: number,
  ): Promise<Snapshot> {
    const isStale = this.#stale.delete(room) || members.length > 0;
    const [epoch, seq, clock, names] = await this.#ask<
      [string, string, string, string[]]
    >(
      "sync",
      ...[room, this.#id, newEpoch(), ...joinTexts(nowMs)],
      ...leaveTexts(nowMs),
      ...members.flatMap(({ name, hold }) => [name, hold]),
    ).catch((error) => {
      if (isStale) this.#stale.add(room);
      throw error;
    });
    return { epoch, seq: Number(seq), clock: Number(clock), names };
  }

  async claim(name: string): Promise<boolean> {
    return await this.#ask("claim", foldName(name), this.#id) === 1;
  }

  unclaim(name: string, restMs: number): void {
    this.#unclaim(foldName(name), restMs);
  }

  #unclaim(folded: string, restMs: number): void {
    this.#link.run("unclaim", folded, this.#id, restMs)
      .catch(() => this.#kept.set(folded, restMs));
  }

  async hold(identity: string) {
    const [hold, name = ""] = await this.#ask<string[]>(
      "hold",
      ...[identity, this.#id],
    );
    return hold === undefined ? undefined : { hold: Number(hold), name };
  }

  async lostHolds(holds: ReadonlyMap<string, number>): Promise<string[]> {
    const lost: string[] = [];
    for (const some of chunks([...holds])) {
      lost.push(...await this.#ask<string[]>("keep", this.#id, ...some.flat()));
    }
    return lost;
  }

  letGo(identity: string, hold: number): void {
    this.#tell("letGo", identity, this.#id, hold);
  }

  async nodeOf(identity: string): Promise<string | undefined> {
    const node = await this.#ask<string>("where", identity);
    return node === "" || node === this.#id ? undefined : node;
  }

  async ask(node: string, question: string, waitMs: number): Promise<string> {
    const number = `${++this.#count}`;
    const { promise, resolve } = Promise.withResolvers<string>();
    const late = Promise.withResolvers<void>();
    this.#asked.set(number, resolve);
    const timer = setTimeout(late.resolve, waitMs);
    try {
      const text = `ask ${this.#id} ${number} ${question}`;
      const isThere = await this.#ask<number>("tell", node, text) > 0;
      const answer = isThere
        ? await Promise.race([promise, late.promise])
        : undefined;
      if (answer !== undefined) return answer;
      throw new LogError("Another server did not answer.");
    } finally {
      clearTimeout(timer);
      this.#asked.delete(number);
    }
  }

  // The connection.

  #channel(room: string): string {
    return `${this.#prefix}turn:${room}`;
  }

  *#channels(): Iterable<string> {
    yield `${this.#prefix}node:${this.#id}`;
    for (const room of this.#followers.keys()) yield this.#channel(room);
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
    this.world.told(undefined);
    // Before anybody is given one of these names.
    const undone = this.#toUndo;
    this.#toUndo = [];
    for (const call of undone) this.#askOrUndo(call, call).catch(() => {});
    const kept = [...this.#kept];
    this.#kept.clear();
    for (const [folded, restMs] of kept) this.#unclaim(folded, restMs);
    this.#resync();
  }

  /** Tells by the way whether Redis can be written, also if nobody speaks. */
  async #beat(): Promise<void> {
    try {
      await this.#beatBy((script, ...values) => this.#ask(script, ...values));
      this.world.told(undefined);
    } catch (error) {
      this.#steadySinceMs = performance.now();
      if (!this.#isClosing) this.world.told(error as LogError);
      throw error;
    }
    await this.#mendRooms();
  }

  /** Renews the lease, and ends those of the dead. */
  async #beatBy(run: Run): Promise<void> {
    const { leaseMs } = this.options;
    const [epoch, clock, redisMs, had, ...dead] = await run(
      "beat",
      ...[this.#id, leaseMs, newEpoch()],
    ) as string[];
    // Too late rather than too early: an answer takes a while.
    this.#aheadMs = Number(redisMs) - performance.now();
    this.#clock = Math.max(this.#clock, Number(clock));
    const isForgotten = had === "0" || epoch !== this.#epoch;
    this.#epoch = epoch ?? "";
    if (isForgotten && this.#link.isReady) this.#resync();
    // Where this server had to wait for Redis, the others had to as well.
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

  /** What others were told of this server may be wrong, and the reverse. */
  #resync(): void {
    this.#node?.rejoin();
    for (const [room, follower] of this.#followers) {
      this.#stale.delete(room);
      follower.resync();
    }
    this.#mendRooms().catch(() => {});
  }

  async #mendRooms(): Promise<void> {
    for (const room of [...this.#stale]) {
      const follower = this.#followers.get(room);
      if (follower === undefined) await this.sync(room, [], Date.now());
      else if (this.#stale.delete(room)) follower.resync();
    }
  }

  #heard(channel: string, text: string): void {
    const turns = this.#channel("");
    const room = channel.slice(turns.length);
    if (!channel.startsWith(turns)) return this.#hear(text);
    const [, node, frame] = /^draw (\S+) (\S*)$/.exec(text) ?? [];
    if (frame !== undefined) {
      if (node === this.#id) return;
      const { buffer } = new Uint8Array(Buffer.from(frame, "base64"));
      return this.#followers.get(room)?.drawn(buffer);
    }
    const at = text.indexOf("\n");
    const [epoch = "", clock] = text.slice(0, at).split(" ");
    this.#clock = Math.max(this.#clock, Number(clock));
    const events = text.slice(at + 1).split("\n");
    this.#followers.get(room)?.heard({ epoch, clock: Number(clock), events });
  }

  /** What another server tells this one. */
  #hear(text: string): void {
    const [, kind, one = "", two = "", rest = ""] =
      /^(\w+) (\S+) (\S+) ?([^]*)$/.exec(text) ?? [];
    if (kind === "way") this.#node?.giveWay(one, Number(two));
    if (kind === "answer") this.#asked.get(two)?.(rest);
    if (kind === "ask") {
      this.#node?.answer(rest).then((answer) =>
        this.#tell("tell", one, `answer ${this.#id} ${two} ${answer}`)
      );
    }
  }

  #ask<T>(...call: Call): Promise<T> {
    return this.#link.run(...call) as Promise<T>;
  }

  /** What nobody heard of being done is undone as soon as Redis is back. */
  async #askOrUndo<T>(call: Call, undo: Call): Promise<T> {
    const isSent = this.#link.isReady;
    try {
      return await this.#ask<T>(...call);
    } catch (error) {
      if (isSent && error instanceof LinkError) this.#toUndo.push(undo);
      throw error;
    }
  }

  /** Where nothing hangs on it: what is lost heals with the next resync. */
  #tell(...call: Call): void {
    this.#link.run(...call).catch(() => {});
  }
}

/** An entry as the script `turn` reads it. */
function valuesOf(entry: Entry, nowMs: number): string[] {
  switch (entry.kind) {
    case "message": {
      const { text, identity = "", id } = entry.draft;
      // As JSON, for UTF-8 has no lone surrogates: two ids would become one.
      const safeId = id === undefined ? "" : JSON.stringify(id);
      return ["m", text, identity, safeId];
    }
    case "join":
    case "leave": {
      const { name, hold } = entry.member;
      return [entry.kind === "join" ? "j" : "l", name, `${hold}`, entry.text];
    }
    case "rename": {
      const { name, hold } = entry.member;
      return [
        ...["r", entry.before, name, `${hold}`, foldName(entry.before)],
        ...[entry.text, ...leaveTexts(nowMs)],
      ];
    }
    case "passing":
      return ["p", entry.text];
  }
}

/** `repeats` are index, seq and event of each, `before` the seq before all. */
function readStored(
  drafts: readonly Draft[],
  before: number,
  repeats: string[],
): Stored[] {
  const known = new Map<number, { seq: number; event: string }>();
  for (let i = 0; i < repeats.length; i += 3) {
    const [index, seq, event = ""] = repeats.slice(i, i + 3);
    known.set(Number(index), { seq: Number(seq), event });
  }
  let next = before;
  return drafts.map(({ text }, i) => {
    const repeat = known.get(i);
    const seq = repeat?.seq ?? ++next;
    const event = repeat?.event || encodeMessage(seq, text);
    return { seq, event, isRepeat: repeat !== undefined };
  });
}

// A name has neither quotes nor backslashes, so a script can put it in between.

function joinTexts(nowMs: number): [string, string] {
  const at = new Date(nowMs).toISOString();
  return around(encode({ type: "join", at, sender: SERVER_NAME, count: 0 }));
}

function leaveTexts(nowMs: number): [string, string] {
  const at = new Date(nowMs).toISOString();
  const message = "Client disconnected";
  return around(
    encode({ type: "leave", at, sender: SERVER_NAME, message, count: 0 }),
  );
}

/** What stands before the name, and between it and the count. */
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
