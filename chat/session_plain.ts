// Owns the plain dialect: each text frame in is a message, each frame out is
// one event. Never sends anything but messages, leaves and errors.
// Invariant: a client that prints `sender` and `message` of every frame is
// right.
import { encode, type ErrorCode, SERVER_NAME } from "./protocol.ts";
import type { Room, Turn } from "./room.ts";
import { Session } from "./session.ts";

export class PlainSession extends Session {
  name = "";
  /** What came before the name did. */
  #early: string[] = [];

  protected async open(room: Room): Promise<void> {
    const name = await this.#prepare(room);
    if (name === undefined) return this.evict("log_unavailable");
    if (this.hasEnded) return this.at.lobby.releaseName(name);
    this.name = name;
    room.join(this);
    for (const text of this.#early.splice(0)) this.say(text);
  }

  /** A name, once the room is open; undefined if the log cannot be used. */
  async #prepare(room: Room): Promise<string | undefined> {
    try {
      await room.open();
      return await this.at.lobby.claimName(this);
    } catch (error) {
      this.note("A client could not be let in.", error);
    }
  }

  /** Its name is somebody else's: this server was cut off for too long. */
  giveWay(): void {
    this.evict("name_lost");
  }

  protected read(text: string): void {
    if (this.name !== "") return this.say(text);
    if (this.#early.length < this.at.limits.burst) this.#early.push(text);
    else this.refuseRate(0);
  }

  protected release(): void {
    if (this.name !== "") this.at.lobby.releaseName(this.name);
  }

  deliver(turn: Turn): void {
    this.guard(() => {
      for (const event of turn.plain) this.send(event);
    });
  }

  /** Plain messages have no id, so none is ever sent again. */
  acknowledge(): void {}

  /** A plain client knows nothing of history. */
  restart(): void {}

  protected complain(code: ErrorCode, message: string): void {
    this.send(encode({ type: "error", sender: SERVER_NAME, code, message }));
  }
}
