// Owns a room that several servers have in common: what its log tells is what
// its members here get. Never delivers a turn that it did not hear of.
// Invariant: turns are taken one at a time; before a message goes out all those
// below its `seq` have, read from the log if they were not heard.
import type {
  Entry,
  Follower,
  Heard,
  SharedLog,
  Snapshot,
} from "./log_shared.ts";
import { encode, seqOf } from "./protocol.ts";
import {
  type Announced,
  type Drawer,
  type Encoded,
  isSaid,
  LOG_RETRY_MS,
  type Member,
  Room,
  type Said,
  settle,
} from "./room.ts";
import { noteLog, type World } from "./world.ts";

/** Turns that may wait while one is taken; then all are read from the log. */
export const MAX_HEARD = 1_000;

export class SharedRoom extends Room implements Follower {
  /** Names of the members on all servers, as those here were told. */
  #roster = new Set<string>();
  /** What has a `clock` up to this changed the roster already. */
  #clock = 0;
  #heard: Heard[] = [];
  #isSyncDue = false;
  #isTaking = false;
  #isOpen = false;
  #isClosed = false;
  /** Since the turn that is under way began. */
  #hasOverflowed = false;
  /** Who was renamed, with the name that those here know, until it is told. */
  readonly #renamed = new Map<Member, string>();
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #opening: Promise<void> | undefined;

  constructor(
    name: string,
    protected override readonly log: SharedLog,
    maxTurnChars: number,
    world: World,
    onIdle: (room: Room) => void,
  ) {
    super(name, log, maxTurnChars, world, onIdle);
  }

  override get count(): number {
    return this.#roster.size;
  }

  override names(): Iterable<string> {
    return this.#roster;
  }

  override open(): Promise<void> {
    this.#opening ??= this.#open().catch((error) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /**
   * Listens first, so that nothing comes between that and the snapshot. Not for
   * somebody who has left meanwhile: there may be another room of that name.
   */
  async #open(): Promise<void> {
    if (this.#isClosed) return;
    await this.log.follow(this.name, this);
    if (this.#isClosed) return;
    const snapshot = await this.log.sync(this.name, [], this.world.now());
    const { epoch, seq, clock, names } = snapshot;
    this.head = { epoch, seq };
    this.#clock = clock;
    this.#roster = new Set(names);
    this.#isOpen = true;
    this.#takeAll();
  }

  override close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retryTimer);
    this.log.unfollow(this.name, this);
  }

  override join(member: Member): void {
    // It is there for itself before the others hear of it.
    this.#roster.add(member.name);
    super.join(member);
  }

  override leave(member: Member): void {
    this.#renamed.delete(member);
    super.leave(member);
  }

  override rename(member: Member, before: string): void {
    if (!this.#renamed.has(member)) this.#renamed.set(member, before);
    super.rename(member, before);
  }

  /** There are members on other servers. */
  protected override get hasAudience(): boolean {
    return true;
  }

  protected override async commit(batch: (Said | Announced)[]): Promise<void> {
    const said = batch.filter(isSaid);
    try {
      const { stored } = await this.log.commit(
        this.name,
        batch.map(entryOf),
        this.world.now(),
        this.head.epoch,
      );
      noteLog(this.world);
      said.forEach((entry, i) => settle(entry, stored[i]));
    } catch (error) {
      this.refuseAll(said, error);
    }
    if (!this.#hasOverflowed) return;
    // It may have told of somebody whose leaving was dropped meanwhile.
    this.#hasOverflowed = false;
    this.resync();
  }

  /** Instead of all that waits the log is told who is here. */
  protected override presenceOverflowed(): void {
    this.dropPresence();
    this.#hasOverflowed = true;
    this.resync();
  }

  override draw(frame: ArrayBuffer, by?: Drawer): void {
    super.draw(frame, by);
    this.log.draw(this.name, frame);
  }

  drawn(frame: ArrayBuffer): void {
    super.draw(frame);
  }

  heard(turn: Heard): void {
    if (this.#heard.length < MAX_HEARD) this.#heard.push(turn);
    else {
      this.#heard = [];
      this.#isSyncDue = true;
    }
    if (this.#isOpen) this.#takeAll();
  }

  resync(): void {
    this.#isSyncDue = true;
    if (this.#isOpen) this.#takeAll();
  }

  async #takeAll(): Promise<void> {
    if (this.#isTaking) return;
    this.#isTaking = true;
    clearTimeout(this.#retryTimer);
    try {
      while (this.#isSyncDue || this.#heard.length > 0) {
        // By now others of this server may be in another room of that name.
        if (this.#isClosed) return;
        if (this.#isSyncDue) await this.#sync();
        else await this.#take(this.#heard.shift() as Heard);
      }
    } catch (error) {
      // What was heard since is read when the log can be asked again.
      this.#heard = [];
      this.#isSyncDue = true;
      noteLog(this.world, error);
      if (this.#isClosed) return;
      this.#retryTimer = setTimeout(() => this.resync(), LOG_RETRY_MS);
    } finally {
      this.#isTaking = false;
    }
  }

  async #take({ epoch, clock, events }: Heard): Promise<void> {
    const turn = events.map(encodedOf);
    const first = turn.find(({ seq }) => seq > 0)?.seq;
    if (epoch !== this.head.epoch) {
      // Who is there was lost with the messages.
      this.#isSyncDue = true;
      if (first === undefined) return;
      this.restart({ epoch, seq: first - 1 });
    }
    if (first !== undefined) await this.#fill(first - 1);
    const isNew = clock > this.#clock;
    const news = turn.filter(({ seq }) =>
      seq === 0 ? isNew : seq > this.head.seq
    );
    for (const { text, seq } of news) if (seq === 0) this.#note(text);
    this.#deliverAll(news);
  }

  /** Delivers what is not heard yet, up to `seq`. */
  async #fill(seq: number): Promise<void> {
    while (this.head.seq < seq) {
      const events = await this.after(this.head.seq);
      if (events === undefined || events.length === 0) {
        // It reaches no longer back so far.
        this.head.seq = seq;
        for (const member of this.members) member.lag?.();
        return;
      }
      this.deliver(events.map(encodedOf));
    }
  }

  /** Tells the log who is here, and takes over where the room stands. */
  async #sync(): Promise<void> {
    this.#isSyncDue = false;
    const here = [...this.members]
      .map(({ name, hold = 0 }) => ({ name, hold }));
    const snapshot = await this.log.sync(this.name, here, this.world.now());
    noteLog(this.world);
    const { epoch, seq, clock } = snapshot;
    const isLost = epoch !== this.head.epoch || seq < this.head.seq;
    if (isLost) this.restart({ epoch, seq });
    else await this.#fill(seq);
    this.#clock = clock;
    this.#tellChanges(snapshot);
  }

  /** Who came and who left without its being heard here. */
  #tellChanges({ names }: Snapshot): void {
    const at = this.time();
    const before = this.#roster;
    this.#roster = new Set(names);
    for (const { name } of this.members) this.#roster.add(name);
    const { size: count } = this.#roster;
    const message = "Client disconnected";
    const renamed = this.#lostRenames(before)
      .map((names) => encode({ type: "rename", at, ...names } as const));
    const left = [...before].filter((name) => !this.#roster.has(name))
      .map((sender) =>
        encode({ type: "leave", at, sender, message, count } as const)
      );
    const came = [...this.#roster].filter((name) => !before.has(name))
      .map((sender) => encode({ type: "join", at, sender, count } as const));
    this.#deliverAll([...renamed, ...left, ...came].map(encodedOf));
  }

  /**
   * Who is here under another name than it knows, and will not hear of by a
   * turn. Gives them their new names in `roster`.
   */
  #lostRenames(roster: Set<string>) {
    const lost: { sender: string; name: string }[] = [];
    for (const [member, sender] of this.#renamed) {
      // The turn is still to come.
      if (this.#roster.has(sender)) continue;
      this.#renamed.delete(member);
      if (!roster.delete(sender)) continue;
      roster.add(member.name);
      lost.push({ sender, name: member.name });
    }
    return lost;
  }

  #note(text: string): void {
    if (!/^\{"type":"(join|leave|rename)"/.test(text)) return;
    const { type, sender, name } = JSON.parse(text);
    if (type !== "join") this.#roster.delete(sender);
    if (type !== "leave") this.#roster.add(name ?? sender);
    if (type === "rename") this.#noteRename(sender, name);
  }

  #noteRename(before: string, name: string): void {
    for (const [member, known] of this.#renamed) {
      if (known !== before) continue;
      if (member.name === name) this.#renamed.delete(member);
      else this.#renamed.set(member, name);
    }
  }

  /** A server's death may be more than one turn should carry. */
  #deliverAll(events: Encoded[]): void {
    let piece: Encoded[] = [];
    let chars = 0;
    for (const event of events) {
      chars += event.text.length;
      if (piece.length > 0 && chars > this.maxTurnChars) {
        this.deliver(piece);
        piece = [];
        chars = event.text.length;
      }
      piece.push(event);
    }
    this.deliver(piece);
  }
}

function entryOf(entry: Said | Announced): Entry {
  if (isSaid(entry)) return { kind: "message", draft: entry.draft };
  const { event, hold } = entry;
  switch (event.type) {
    case "join":
    case "leave": {
      // How many there are is known where all are counted.
      const text = encode({ ...event, count: 0 }).slice(0, -"0}".length);
      return { kind: event.type, member: { name: event.sender, hold }, text };
    }
    case "rename": {
      const member = { name: event.name, hold };
      const { sender: before } = event;
      return { kind: "rename", before, member, text: encode(event) };
    }
    case "typing":
      return { kind: "passing", text: encode(event) };
  }
}

function encodedOf(text: string): Encoded {
  const seq = seqOf(text);
  return { text, seq, isPlain: seq > 0 || text.startsWith('{"type":"leave"') };
}
