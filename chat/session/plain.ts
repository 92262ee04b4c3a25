// The plain dialect: each text frame in is a message, each frame out is one
// event: a message, a leave or an error. A client may simply print `sender` and
// `message` of every frame. The dialect has no history and no resending.
import { encode, type ErrorCode, SERVER_NAME } from "../protocol/events.ts";
import type { EventFrame } from "../protocol/frames.ts";
import { type Holder, JoinLimitError } from "../room/identities.ts";
import type { Allowance } from "../room/rates.ts";
import type { Member, Room } from "../room/room.ts";
import type { Turn } from "../room/turn.ts";
import { STORE_RETRY_MS, StoreError } from "../store/store.ts";
import type { DialectOf } from "./dialect.ts";
import { BUSY, type Problem, type Session } from "./session.ts";

export class Plain implements DialectOf<"text">, Member, Holder {
  readonly frameType = "text";
  name = "";
  #room: Room | undefined;

  readonly #allowance: Allowance;

  constructor(readonly session: Session) {
    const { hub, owner } = session.at;
    this.#allowance = hub.identities.newAllowance(owner);
  }

  async open(room: Room): Promise<void> {
    this.#room = room;
    const name = await this.#prepare(room);
    if (name === undefined) return;
    if (this.session.hasEnded) {
      return this.session.at.hub.identities.releaseName(name);
    }
    this.name = name;
    room.join(this);
    this.session.receiveEarly();
  }

  /** Opens the room and claims a name; or disconnects and returns undefined. */
  async #prepare(room: Room): Promise<string | undefined> {
    const { session } = this;
    const { hub, owner } = session.at;
    try {
      await room.open();
      return await hub.identities.claimName(this, owner);
    } catch (error) {
      if (error instanceof JoinLimitError) {
        this.#refuse(error);
        session.disconnect(error.reason, error.retryAfterMs);
        return undefined;
      }
      if (!(error instanceof StoreError)) throw error;
      session.note("A client could not join.", error);
      session.disconnect("log_unavailable", STORE_RETRY_MS);
    }
  }

  receive(text: string): void {
    const problem = this.name === ""
      ? this.session.queueEarly(() => this.receive(text))
      : this.session.admit(text, this.#allowance) ??
        (this.#room?.say(this, { message: text }) ? undefined : BUSY);
    if (problem !== undefined) this.#refuse(problem);
  }

  framesOf(turn: Turn): readonly EventFrame[] {
    return turn.plain;
  }

  refuse(code: ErrorCode, message: string): void {
    this.#refuse({ code, message });
  }

  #refuse(problem: Problem): void {
    const { session } = this;
    const { code, message } = problem;
    session.countRefusal(problem);
    session.send(encode({ type: "error", sender: SERVER_NAME, code, message }));
  }

  /** Another client got the name while this server was cut off. */
  supersede(): void {
    this.session.disconnect("name_lost");
  }

  close(): void {
    this.session.at.hub.identities.leaveBehind(this.#allowance);
    if (this.name !== "") this.session.at.hub.identities.releaseName(this.name);
  }
}
