// How much may be said, and how much history may be read: by one client over
// all its connections, by the new clients of one network, and by all people in
// one room. What remains of a rate outlives the connection or the room;
// otherwise coming back would evade the rate.
//
// A room shares its rate by a dynamic threshold (Choudhury and Hahne, 1998): a
// client may say one more message while the count of its recent ones is below a
// factor times the free part of the room. So a client that is alone gets most
// of the rate, and many busy clients get equal shares and leave something free.
// A long message counts as several, so a room limits bytes as well.
import { Buffer } from "node:buffer";
import { DecayingCount, TokenBucket } from "../ops/rate_limit.ts";

export interface RateLimits {
  /** Messages per second of one client; 0 for no limit. */
  rate: number;
  /** Messages that may come at once before the rate applies. */
  burst: number;
  /** Messages per second in one room, as `weightOf` counts them; 0 for no limit. */
  roomRate: number;
  /** KiB of history per second of one client; 0 for no limit. */
  historyRate: number;
}

/** How much of its burst an unknown client begins with. */
export const FIRST_BURST = 10;

/** How long a client counts as new. */
export const NEW_MS = 30_000;

/**
 * How much history a client may be given at once if it had none lately, in
 * seconds of its rate.
 */
const HISTORY_BURST_SECONDS = 4;

/** The same for an unknown client: a page or two. */
const HISTORY_NEW_SECONDS = 1 / 2;

/**
 * The new clients of one network share as many messages as this many of them
 * may send at once, because a whole class may be there; and after that as much
 * history as this many readers may be given.
 */
const CLASS_SIZE = 60;
const CLASS_READERS = 10;

/** The factor of the threshold. */
const SHARE = 4;

/** The part of a room's rate for clients that said nothing lately. */
const RESERVE = 1 / 10;

/** Bytes of text that count as one message: 500 characters of any script. */
const MESSAGE_BYTES = 2 * 1024;

/** A client with a lower count said nothing, as `DecayingCount` weighs it. */
const NEGLIGIBLE = 1 / 20;

/** The part of a room's rate that all new clients together may take. */
const NEW_PART = 1 / 2;

/** Messages that a room takes at once, however low its rate. */
const LEAST_ROOM_BURST = 20;

/** Allowances of clients that left one network: more than a few classes. */
const MAX_LEFT = 256;

/** Entries of one kind of `Retained`, at most. */
const MAX_RETAINED = 100_000;

/** How long a client counts as new, and the network that it comes from. */
interface Newcomer {
  untilMs: number;
  networkShare: () => NetworkShare;
}

/** The rates of one client, for messages, for other requests, for history. */
export class Allowance implements Sharer {
  readonly messages: TokenBucket;
  readonly requests: TokenBucket;
  readonly #history: TokenBucket;
  #isBequeathed = false;
  /** Until when what others used up is lacking in each. */
  readonly #lacksUntilMs = new Map<TokenBucket, number>();
  /** What the client said lately, in any room. */
  readonly taken: DecayingCount;
  /** Until when the client has to wait after a room refused its message. */
  #heldBack: { by: SharedRate; untilMs: number } | undefined;

  /** `newcomer` is set for a new client, not for one that comes back. */
  constructor(
    limits: RateLimits,
    nowMs: number,
    private readonly newcomer?: Newcomer,
  ) {
    const { rate, burst, roomRate, historyRate } = limits;
    const isNew = newcomer !== undefined;
    const first = isNew ? Math.min(burst, FIRST_BURST) : burst;
    this.messages = new TokenBucket(rate, burst, nowMs, first);
    this.requests = new TokenBucket(rate, burst, nowMs);
    const bytes = historyRate * 1024;
    const most = bytes * HISTORY_BURST_SECONDS;
    const few = isNew ? bytes * HISTORY_NEW_SECONDS : most;
    this.#history = new TokenBucket(bytes, most, nowMs, few);
    this.taken = new DecayingCount(timeConstantMs(roomRate));
  }

  #isNew(nowMs: number): boolean {
    return nowMs < (this.newcomer?.untilMs ?? -Infinity);
  }

  newFrom(nowMs: number): NetworkShare | undefined {
    return this.#isNew(nowMs) ? this.newcomer?.networkShare() : undefined;
  }

  /** Leaves this allowance no more than `other` has left. */
  takeOver(other: Allowance, nowMs: number): void {
    this.#takeOver(this.messages, other.messages, nowMs);
    this.#takeOver(this.requests, other.requests, nowMs);
    this.#takeOver(this.#history, other.#history, nowMs);
    this.taken.add(other.taken.at(nowMs), nowMs);
  }

  #takeOver(own: TokenBucket, others: TokenBucket, nowMs: number): void {
    const fullInMs = others.fullInMs(nowMs);
    this.#lacksUntilMs.set(own, nowMs + fullInMs - own.fullInMs(nowMs));
    own.drain(fullInMs, nowMs);
  }

  /** Whether it is others who used up what is not there. */
  lacks(bucket: TokenBucket, nowMs: number): boolean {
    return nowMs < (this.#lacksUntilMs.get(bucket) ?? -Infinity);
  }

  /** Notes that a room refused a message, and until when. */
  holdBack(by: SharedRate, untilMs: number): void {
    this.#heldBack = { by, untilMs };
  }

  /** Milliseconds until the client may try again in a room. */
  heldBackMs(by: SharedRate | undefined, nowMs: number): number {
    if (this.#heldBack?.by !== by) return 0;
    return Math.max(0, (this.#heldBack?.untilMs ?? 0) - nowMs);
  }

  /**
   * To be called when the client goes: a new client from the same network
   * inherits what is left. Only once, because otherwise a key that comes and
   * goes would leave much without saying anything.
   */
  leaveBehind(limits: RateLimits, nowMs: number): void {
    if (this.newcomer === undefined || this.#isBequeathed) return;
    this.#isBequeathed = true;
    const left = new Allowance(limits, nowMs);
    left.takeOver(this, nowMs);
    this.newcomer.networkShare().leave(left, nowMs);
  }

  /** The most history that can be taken at once, in bytes. */
  get mostHistory(): number {
    return this.#history.burst;
  }

  /** Takes bytes of history. Returns 0, or the ms until there are some. */
  takeHistory(bytes: number, nowMs: number): number {
    const shared = this.newFrom(nowMs)?.history;
    const waitMs = Math.max(
      this.#history.peek(nowMs),
      shared?.peek(nowMs) ?? 0,
    );
    if (waitMs > 0) return waitMs;
    this.#history.take(nowMs, bytes);
    shared?.take(nowMs, bytes);
    return 0;
  }

  /** Gives back bytes that were not used; takes bytes that were used too. */
  giveBackHistory(bytes: number, nowMs: number): void {
    this.#history.giveBack(bytes);
    this.newFrom(nowMs)?.history.giveBack(bytes);
  }

  /** Whether a new allowance for a client that comes back would be the same. */
  isAsNew(nowMs: number): boolean {
    return !this.#isNew(nowMs) && this.messages.isAsNew(nowMs) &&
      this.requests.isAsNew(nowMs) && this.#history.isAsNew(nowMs) &&
      this.taken.at(nowMs) < NEGLIGIBLE;
  }
}

/** As how many messages one counts in its room: one for each 2 KiB, as JSON. */
export function weightOf(message: string): number {
  // A UTF-16 unit takes at most six bytes in JSON, so short text needs no count.
  if (message.length * 6 <= MESSAGE_BYTES) return 1;
  return Math.ceil(Buffer.byteLength(JSON.stringify(message)) / MESSAGE_BYTES);
}

function burstOf(roomRate: number): number {
  return Math.max(roomRate, LEAST_ROOM_BURST);
}

/** After this time the rest of a burst weighs 1/e. */
function timeConstantMs(perSecond: number, burst = burstOf(perSecond)): number {
  return perSecond === 0 ? 1_000 : burst * 1000 / perSecond;
}

/** A client, or a network, that shares a rate. */
interface Sharer {
  /** How much of the rate this sharer took lately. */
  readonly taken: DecayingCount;
  /** For a network: how much all networks in its block took lately. */
  readonly takenByBlock?: DecayingCount | undefined;
  /** For a new client: its network, and the block of that. */
  newFrom?(nowMs: number): NewFrom | undefined;
}

/** How much the new clients of one network, and of its block, took lately. */
interface NewFrom {
  readonly takenByNew: DecayingCount;
  readonly block: { readonly takenByNew: DecayingCount };
}

/**
 * The share of a network: the mean of its own count and that of its block. A
 * network that is alone in its block counts as itself; one of many counts as
 * half of them.
 */
function mean(
  own: DecayingCount,
  ofBlock: DecayingCount,
  nowMs: number,
): number {
  return (own.at(nowMs) + ofBlock.at(nowMs)) / 2;
}

/** A rate that many share, such as that for the messages in one room. */
export class SharedRate {
  /** One less than the burst, because one message may exceed a threshold. */
  readonly #space: number;
  readonly #taken: DecayingCount;
  /** The part of it that long messages would have taken of what is reserved. */
  readonly #excess: DecayingCount;
  readonly #takenByNew: DecayingCount;

  /** `perSecond` 0 means no limit. */
  constructor(
    private readonly perSecond: number,
    burst = burstOf(perSecond),
  ) {
    this.#space = burst - 1;
    this.#taken = new DecayingCount(timeConstantMs(perSecond, burst));
    this.#excess = this.newCount();
    this.#takenByNew = this.newCount();
  }

  /** A count for a new sharer. */
  newCount(): DecayingCount {
    return new DecayingCount(this.#taken.timeConstantMs);
  }

  /**
   * Counts one message, say, of a client. Returns 0; or, and nothing is counted, the
   * milliseconds after which it may be said if nobody else says anything. One that
   * counts as several may take more than there is; then all wait until it is back,
   * but for short messages of those who said nothing lately.
   */
  take(client: Sharer, nowMs: number, count = 1): number {
    if (this.perSecond === 0) return 0;
    const newFrom = client.newFrom?.(nowMs);
    const { taken, takenByBlock = taken } = client;
    const isQuiet = newFrom === undefined &&
      takenByBlock.at(nowMs) <= NEGLIGIBLE;
    const excess = isQuiet && count === 1 ? this.#excess.at(nowMs) : 0;
    const all = this.#taken.at(nowMs) - excess;
    const waitMs = Math.max(
      this.#waitMs(
        [mean(taken, takenByBlock, nowMs), all],
        isQuiet ? 1 : 1 - RESERVE,
      ),
      newFrom === undefined ? 0 : this.#waitAsNewMs(client, newFrom, nowMs),
    );
    if (waitMs > 0) return Math.ceil(waitMs);
    this.note(count, 1, nowMs);
    const counts = [taken, takenByBlock];
    if (newFrom !== undefined) {
      counts.push(
        newFrom.takenByNew,
        newFrom.block.takenByNew,
        this.#takenByNew,
      );
    }
    for (const each of new Set(counts)) each.add(count, nowMs);
    return 0;
  }

  /**
   * The ms until the new client's count is below its share of what its network
   * leaves free, the network's below its share of what the block leaves free,
   * and so on; of the whole rate new clients have `NEW_PART`.
   */
  #waitAsNewMs(
    { taken }: Sharer,
    { takenByNew, block }: NewFrom,
    nowMs: number,
  ) {
    const ofNetwork = mean(takenByNew, block.takenByNew, nowMs);
    const all = this.#takenByNew.at(nowMs);
    return this.#waitMs([taken.at(nowMs), ofNetwork, all], NEW_PART);
  }

  /**
   * The ms until the first of these counts is below its share of what the next
   * one leaves free, and so on; the last count may take `part` of the whole
   * rate.
   */
  #waitMs(levels: number[], part: number): number {
    let sum = 0;
    let weight = 1 / SHARE;
    for (const count of levels) sum += (weight *= SHARE) * count;
    const shrunk = weight * this.#space * part / sum;
    return -Math.log(shrunk) * this.#taken.timeConstantMs;
  }

  /** Counts messages, say, which count as `count`; also those of other servers. */
  note(count: number, messages: number, nowMs: number): void {
    const free = this.#space * (1 - RESERVE) - this.#taken.at(nowMs);
    // However long it is, a message takes at most one of what is reserved.
    const excess = Math.max(0, count - Math.max(messages, free));
    this.#excess.add(excess, nowMs);
    this.#taken.add(count, nowMs);
  }

  /** Whether a new rate would be the same. */
  isAsNew(nowMs: number): boolean {
    return this.#taken.at(nowMs) < NEGLIGIBLE;
  }
}

/**
 * A block of networks, which share the rate of newcomers; otherwise an
 * organisation with many networks would take all of it.
 */
export class Block {
  /** What new clients of the block said lately, in any room. */
  readonly takenByNew: DecayingCount;

  /** `taken` counts people who came, as for a network. */
  constructor({ roomRate }: RateLimits, readonly taken: DecayingCount) {
    this.takenByNew = new DecayingCount(timeConstantMs(roomRate));
  }

  isAsNew(nowMs: number): boolean {
    return this.taken.at(nowMs) < NEGLIGIBLE &&
      this.takenByNew.at(nowMs) < NEGLIGIBLE;
  }
}

/** A network from which new people come, such as an IPv4 address. */
export class NetworkShare implements Sharer {
  /** How much history the network's new clients may be given. */
  readonly history: TokenBucket;
  /** What the network's new clients said lately, in any room. */
  readonly takenByNew: DecayingCount;
  /** Allowances of clients that went, the longest ago first. */
  readonly #left: Allowance[] = [];

  /** `taken` counts newcomers, not messages: networks share that rate. */
  constructor(
    { historyRate, roomRate }: RateLimits,
    readonly taken: DecayingCount,
    nowMs: number,
    /** Set again when it was forgotten and made anew. */
    public block: Block,
  ) {
    this.takenByNew = new DecayingCount(timeConstantMs(roomRate));
    const bytes = historyRate * 1024;
    const most = bytes * HISTORY_NEW_SECONDS * CLASS_SIZE;
    this.history = new TokenBucket(bytes * CLASS_READERS, most, nowMs);
  }

  get takenByBlock(): DecayingCount {
    return this.block.taken;
  }

  leave(left: Allowance, nowMs: number): void {
    this.#forgetLeft(nowMs);
    this.#left.push(left);
    if (this.#left.length > MAX_LEFT) this.#left.shift();
  }

  /**
   * The allowance of a client that went, once. It is that of the first one to
   * go: for another person at the same address that is hardly less than a full
   * one.
   */
  takeLeft(nowMs: number): Allowance | undefined {
    this.#forgetLeft(nowMs);
    return this.#left.shift();
  }

  #forgetLeft(nowMs: number): void {
    while (this.#left[0]?.isAsNew(nowMs)) this.#left.shift();
  }

  isAsNew(nowMs: number): boolean {
    this.#forgetLeft(nowMs);
    return this.#left.length === 0 && this.taken.at(nowMs) < NEGLIGIBLE &&
      this.takenByNew.at(nowMs) < NEGLIGIBLE && this.history.isAsNew(nowMs);
  }
}

/**
 * Keeps things that differ from new ones, such as the allowance of a client
 * that went. If there are too many, those kept for the longest time are
 * forgotten.
 */
export class Retained<T extends { isAsNew(nowMs: number): boolean }> {
  /** The things kept for the longest time come first. */
  readonly #items = new Map<string, T>();
  /** Goes round and round. */
  #sweep = this.#items.entries();
  /** Finds the oldest; a new iterator passes all deleted entries before it. */
  #oldest = this.#items.keys();

  get size(): number {
    return this.#items.size;
  }

  /** Gives back the thing under this key, if there is one. */
  take(key: string): T | undefined {
    const item = this.#items.get(key);
    this.#items.delete(key);
    return item;
  }

  /** The thing under this key, or a new one, which is kept from now on. */
  get(key: string, nowMs: number, make: () => T): T {
    const item = this.take(key) ?? make();
    this.#forgetSome(nowMs);
    this.#items.set(key, item);
    return item;
  }

  keep(key: string, item: T, nowMs: number): void {
    this.#items.delete(key);
    this.#forgetSome(nowMs);
    if (!item.isAsNew(nowMs)) this.#items.set(key, item);
  }

  /** Makes space for one more. */
  #forgetSome(nowMs: number): void {
    // Two are looked at for each new one, so those that are as new do not pile
    // up.
    for (let looks = 0; looks < 2; looks++) {
      const { value, done } = this.#sweep.next();
      if (done) {
        this.#sweep = this.#items.entries();
        // One that is not used keeps all that was ever in the `Map`.
        this.#oldest = this.#items.keys();
        break;
      }
      const [key, item] = value;
      if (item.isAsNew(nowMs)) this.#items.delete(key);
    }
    if (this.#items.size < MAX_RETAINED) return;
    this.#items.delete(this.#oldest.next().value ?? "");
  }
}
