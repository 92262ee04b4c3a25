// The people who are here, and their names. A name has one holder at a time: a
// person who is here, or an identity, which owns its name even while nobody is
// here with its key. Of two connections with one key the later one supersedes
// the earlier.
import type { Owner } from "../http/proxy.ts";
import type { Context } from "../ops/context.ts";
import { TokenBucket } from "../ops/rate_limit.ts";
import type { DisconnectReason } from "../protocol/close_codes.ts";
import type { ErrorCode } from "../protocol/events.ts";
import {
  foldName,
  isNumbered,
  makeName,
  makeNumberedName,
  nameProblem,
  takenProblem,
} from "../protocol/names.ts";
import {
  type Generation,
  type Identity,
  NAME_REST_MS,
  type Peer,
  type Store,
} from "../store/store.ts";
import {
  Allowance,
  Block,
  NetworkShare,
  NEW_MS,
  type RateLimits,
  Retained,
  SharedRate,
} from "./rates.ts";

/**
 * How many names that turn out to be taken by an absent identity are tried
 * before a number is added to a name; with a number it is hardly ever taken.
 */
const TAKEN_TRIES = 4;

/**
 * How many new identities may come at once (at least as many as there are
 * places), and after that per second. Their networks share these numbers
 * fairly.
 */
const NEWCOMERS_AT_ONCE = 3_000;
export const NEWCOMERS_PER_SECOND = 300;

/** How many identities one connection may make at once, and then per second. */
const OF_CONNECTION = { burst: 16, perSecond: 1 };

/** The same for an address behind a trusted proxy, which a class may share. */
const OF_ADDRESS = { burst: 300, perSecond: 30 };

/**
 * How often one identity may be announced at once, and then per second: the
 * whole room is told that it came, or has another name. Each server counts for
 * itself.
 */
export const ANNOUNCED = { burst: 20, perSecond: 1 };

/** Surplus newcomers are asked to come back in this time, not all at once. */
const RETURN_AT_EARLIEST_MS = 1_000;
const RETURN_SPREAD_MS = 4_000;

/** A person whose name or identity may go to another one. */
export interface Holder {
  /** `isHere`: the other one is on this server. */
  supersede(isHere?: boolean): void;
}

/** An identity while its holder is here. */
export interface Held extends Identity {
  generation: Generation;
  allowance: Allowance;
}

export interface IdentityLimits extends RateLimits {
  maxClients: number;
}

export class NameError extends Error {
  constructor(readonly code: ErrorCode, message: string) {
    super(message);
  }
}

/** Too many newcomers came at once, or one identity came too often. */
export class JoinLimitError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly retryAfterMs: number,
    readonly reason: DisconnectReason = "crowd",
  ) {
    super(message);
  }
}

export class Identities {
  /** Folded names of people who are here, and names that are being taken. */
  readonly #names = new Set<string>();
  /** The holders of names without an identity, by folded name. */
  readonly #claims = new Map<string, Holder>();
  /** The holders that are here under an identity, by its id. */
  readonly #holders = new Map<
    string,
    { holder: Holder; generation: Generation; allowance: Allowance }
  >();
  /** The allowances of clients that went and may come back, by identity. */
  readonly #allowances = new Retained<Allowance>();
  readonly #newcomers: SharedRate;
  /** By network. */
  readonly #networkShares = new Retained<NetworkShare>();
  readonly #blocks = new Retained<Block>();
  /** By the name of the owner. */
  readonly #newcomersOf = new Retained<TokenBucket>();
  /** How often each identity may still be announced, by its id. */
  readonly #announced = new Retained<TokenBucket>();
  /** Identities that are being acquired; the latest generation elsewhere. */
  readonly #asked = new Map<
    string,
    { count: number; supersededBy: Generation }
  >();
  /** Counts up, so that this process makes no numbered name twice. */
  #number: number;

  constructor(
    private readonly limits: IdentityLimits,
    private readonly store: Store,
    private readonly context: Context,
  ) {
    this.#newcomers = new SharedRate(
      NEWCOMERS_PER_SECOND,
      Math.max(NEWCOMERS_AT_ONCE, limits.maxClients),
    );
    this.#number = Math.floor(context.random() * 1e9);
  }

  /** Ids of the identities whose holder is here. */
  get inUse(): ReadonlySet<string> {
    return new Set(this.#holders.keys());
  }

  /** How many names are held by people who are here. */
  get nameCount(): number {
    return this.#names.size;
  }

  /**
   * The allowance of a new client. It has no more than an earlier client from
   * its network left behind. Give it back with `leaveBehind`.
   */
  newAllowance(owner: Owner): Allowance {
    const nowMs = this.context.monotonic();
    const networkShare = () => this.#networkShareOf(owner);
    const newcomer = { untilMs: nowMs + NEW_MS, networkShare };
    const allowance = new Allowance(this.limits, nowMs, newcomer);
    const left = networkShare().takeLeft(nowMs);
    if (left !== undefined) allowance.takeOver(left, nowMs);
    return allowance;
  }

  leaveBehind(allowance: Allowance): void {
    allowance.leaveBehind(this.limits, this.context.monotonic());
  }

  #networkShareOf({ network, block: name }: Owner): NetworkShare {
    const { limits } = this;
    const nowMs = this.context.monotonic();
    const newCount = () => this.#newcomers.newCount();
    const makeBlock = () => new Block(limits, newCount());
    const block = this.#blocks.get(name, nowMs, makeBlock);
    const make = () => new NetworkShare(limits, newCount(), nowMs, block);
    const networkShare = this.#networkShares.get(network, nowMs, make);
    networkShare.block = block;
    return networkShare;
  }

  /** Throws if too many come, over this owner's connection or altogether. */
  #admitNewcomer(owner: Owner): void {
    const nowMs = this.context.monotonic();
    const { burst, perSecond } = owner.isShared ? OF_ADDRESS : OF_CONNECTION;
    const bucket = this.#newcomersOf.get(
      owner.name,
      nowMs,
      () => new TokenBucket(perSecond, burst, nowMs),
    );
    const waitMs = bucket.peek(nowMs);
    if (waitMs > 0) throw this.#tooManyFrom(owner, waitMs);
    this.#joinCrowd(owner);
    bucket.take(nowMs);
  }

  #tooManyFrom({ isShared }: Owner, waitMs: number): JoinLimitError {
    // Where a whole class waits for one bucket, all would come back at once.
    return isShared
      ? new JoinLimitError(
        "rate_limited",
        "Too many new people join from your address. Try again, or use a " +
          "WebSocket.",
        this.#returnInMs(),
      )
      : new JoinLimitError(
        "rate_limited",
        "Too many new people join over this connection. Use the key of one of " +
          "them.",
        waitMs,
      );
  }

  #returnInMs(): number {
    const spreadMs = this.context.random() * RETURN_SPREAD_MS;
    return Math.ceil(RETURN_AT_EARLIEST_MS + spreadMs);
  }

  /** Throws if too many come altogether. */
  #joinCrowd(owner: Owner): void {
    const nowMs = this.context.monotonic();
    if (this.#newcomers.take(this.#networkShareOf(owner), nowMs) === 0) return;
    throw new JoinLimitError(
      "busy",
      "Too many new people are joining at once. Try again.",
      this.#returnInMs(),
    );
  }

  /** A bucket with a token for each announcement of the identity `id`. */
  announcements(id: string): TokenBucket {
    const nowMs = this.context.monotonic();
    const { burst, perSecond } = ANNOUNCED;
    const rate = this.limits.rate === 0 ? 0 : perSecond;
    const make = () => new TokenBucket(rate, burst, nowMs);
    return this.#announced.get(id, nowMs, make);
  }

  /**
   * A name for a person without an identity; give it back with `releaseName`.
   * Such a person always counts as new: throws a `JoinLimitError` if too many come.
   */
  async claimName(holder: Holder, owner: Owner): Promise<string> {
    this.#joinCrowd(owner);
    for (let tries = 0;; tries++) {
      const name = this.#pickName(tries);
      const folded = foldName(name);
      if (await this.#claim(name)) {
        this.#claims.set(folded, holder);
        return name;
      }
      this.#names.delete(folded);
    }
  }

  async #claim(name: string): Promise<boolean> {
    try {
      return await this.store.claim(name);
    } catch (error) {
      this.#names.delete(foldName(name));
      // The store may have claimed the name all the same.
      this.store.unclaim(name, 0);
      throw error;
    }
  }

  releaseName(name: string): void {
    const folded = foldName(name);
    this.#names.delete(folded);
    this.#claims.delete(folded);
    // Numbered names do not return, so at most every pair of words rests.
    this.store.unclaim(name, isNumbered(name) ? 0 : NAME_REST_MS);
  }

  /**
   * The identity of this key, for `holder`; its earlier holder is superseded.
   * Undefined if there is no such identity; then `register` makes one. Throws a
   * `JoinLimitError`, and supersedes nobody, if the identity comes back too often.
   */
  async reclaim(key: string, holder: Holder): Promise<Held | undefined> {
    const identity = await this.identify(key);
    if (identity === undefined) return undefined;
    const { id } = identity;
    this.#admitReturn(id);
    const held = await this.#acquire(identity);
    if (held === undefined) return undefined;
    const { generation, supersededBy, name } = held;
    const allowance = this.#allowanceOf(id, held.fullInMs);
    const before = this.#holders.get(id)?.holder;
    this.#holders.set(id, { holder, generation, allowance });
    this.#names.add(foldName(name));
    before?.supersede(true);
    if (supersededBy > generation) holder.supersede();
    return { id, name, generation, allowance };
  }

  #admitReturn(id: string): void {
    const waitMs = this.announcements(id).take(this.context.monotonic());
    if (waitMs === 0) return;
    throw new JoinLimitError(
      "rate_limited",
      "You join too often with this key. Wait a second, then try again.",
      waitMs,
      "joins_often",
    );
  }

  /** The allowance of an identity that comes back, even from elsewhere. */
  #allowanceOf(id: string, fullInMs = 0): Allowance {
    const nowMs = this.context.monotonic();
    const allowance = this.#holders.get(id)?.allowance ??
      this.#allowances.take(id) ?? new Allowance(this.limits, nowMs);
    allowance.messages.drain(fullInMs, nowMs);
    return allowance;
  }

  /**
   * Tells the other servers that the identity is here from now on. Until then
   * they may rename it.
   */
  async #acquire(identity: Identity) {
    const { id } = identity;
    const asked = this.#asked.get(id) ?? { count: 0, supersededBy: 0 };
    this.#asked.set(id, asked);
    asked.count++;
    try {
      const held = await this.store.acquire(identity);
      return held && { ...held, supersededBy: asked.supersededBy };
    } finally {
      asked.count--;
      if (asked.count === 0) this.#asked.delete(id);
    }
  }

  /** A later holder of this identity came on another server. */
  supersede(id: string, generation: Generation): void {
    const held = this.#holders.get(id);
    if (held !== undefined && held.generation < generation) {
      held.holder.supersede();
    }
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    asked.supersededBy = Math.max(asked.supersededBy, generation);
  }

  /** Claims all names here again, and supersedes holders that lost theirs. */
  async rejoin(): Promise<void> {
    const held = [...this.#holders].map(([id, { generation }]) =>
      [id, generation] as const
    );
    const claims = [...this.#claims].map(async ([name, holder]) => {
      if (!await this.store.claim(name)) holder.supersede();
    });
    const [lost] = await Promise.all([
      this.store.peers?.superseded(new Map(held)) ?? [],
      ...claims,
    ]);
    for (const id of lost) this.#holders.get(id)?.holder.supersede();
  }

  /** The identity of this key. */
  identify(key: string): Promise<Identity | undefined> {
    return this.store.identify(key);
  }

  /** The holder of the identity `id` here, or the server that has it. */
  async present(id: string): Promise<{ holder?: Holder; peer?: Peer }> {
    // The holder here may be superseded by another server, and not know it yet.
    const peer = await this.store.peers?.peerOf(id);
    if (peer !== undefined) return { peer };
    const held = this.#holders.get(id);
    return held === undefined ? {} : { holder: held.holder };
  }

  /**
   * A new identity, called `wish` if nobody has that name, else by a name made
   * here. Throws a `JoinLimitError` if too many come, over the connection of
   * `owner` or altogether.
   */
  async register(
    wish: string | undefined,
    holder: Holder,
    owner: Owner,
  ): Promise<Held & { key: string }> {
    this.#admitNewcomer(owner);
    const allowance = this.newAllowance(owner);
    for (let tries = 0;; tries++) {
      const name = tries === 0 && wish !== undefined && this.#take(wish)
        ? wish
        : this.#pickName(tries);
      const identity = await this.#registerAs(name, allowance);
      if (identity === undefined) continue;
      const { generation } = identity;
      this.#holders.set(identity.id, { holder, generation, allowance });
      return { ...identity, allowance };
    }
  }

  async #registerAs(name: string, { messages }: Allowance) {
    const fullInMs = messages.fullInMs(this.context.monotonic());
    try {
      const identity = await this.store.register(name, fullInMs);
      if (identity === undefined) this.#names.delete(foldName(name));
      return identity;
    } catch (error) {
      this.#names.delete(foldName(name));
      throw error;
    }
  }

  /** Takes an identity out of use. Its name stays reserved for it. */
  release(identity: Held, holder: Holder): void {
    if (!this.#isHolder(identity, holder)) return;
    const nowMs = this.context.monotonic();
    this.#allowances.keep(identity.id, identity.allowance, nowMs);
    this.leaveBehind(identity.allowance);
    this.#holders.delete(identity.id);
    this.#names.delete(foldName(identity.name));
    this.store.release(identity.id, identity.generation);
  }

  #isHolder({ id }: Identity, holder: Holder): boolean {
    return this.#holders.get(id)?.holder === holder;
  }

  /** Gives an identity another name. Throws a `NameError` if it cannot. */
  async rename(identity: Held, name: string): Promise<void> {
    const problem = nameProblem(name);
    if (problem !== undefined) throw new NameError("name_invalid", problem);
    const before = foldName(identity.name);
    const isSame = foldName(name) === before;
    const taken = new NameError("name_taken", takenProblem(name));
    if (!isSame && !this.#take(name)) throw taken;
    let isDone = false;
    try {
      isDone = await this.store.rename(identity, name);
    } finally {
      if (!isDone && !isSame) this.#names.delete(foldName(name));
    }
    if (!isDone) throw taken;
    // If all holders left meanwhile, neither name is held here any more.
    const isHeld = this.#holders.has(identity.id);
    if (!isSame) this.#names.delete(isHeld ? before : foldName(name));
    identity.name = name;
  }

  /** Takes a name; false if somebody here has it. */
  #take(name: string): boolean {
    const folded = foldName(name);
    if (this.#names.has(folded)) return false;
    this.#names.add(folded);
    return true;
  }

  /** Takes a new name; `tries` names were taken elsewhere before. */
  #pickName(tries: number): string {
    const isTaken = (name: string) =>
      tries >= TAKEN_TRIES || this.#names.has(name);
    const name = makeName(isTaken, this.context.random) ??
      makeNumberedName(this.#number++, this.context.random);
    this.#names.add(name);
    return name;
  }
}
