// A good client that chats while others misbehave, and checks what it is shown:
// every `seq` once and in order, and every message of each other bystander. What
// bad clients say is passed over.
import type { ServerEvent } from "../../../chat/protocol/events.ts";
import { SUBPROTOCOL } from "../../../chat/protocol/requests.ts";
import { soon } from "../../support/harness.ts";
import { type Connection, NativeConnection } from "../../stress/connection.ts";
import { Roster } from "../../stress/roster.ts";
import { ROOM } from "./script.ts";

/** How often each of them says something. */
const SAY_EVERY_MS = 20;

export class Bystander {
  name = "";
  sent = 0;
  /** All messages that it was shown, those of bad clients among them. */
  shown = 0;
  /** By a bystander's name, its newest message. */
  readonly heard = new Map<string, number>();
  /** Who is here, as the full dialect tells it. */
  readonly roster = new Roster();
  #connection: Connection | undefined;
  #seq: number | undefined;
  #isOver = false;
  readonly #named = Promise.withResolvers<void>();

  /** `onFault` is told, once or more, what was not right. */
  constructor(
    readonly number: number,
    readonly isV1: boolean,
    private readonly onFault: (fault: Error) => void,
  ) {}

  /** Connects and waits until it knows its name. */
  async join(port: number): Promise<void> {
    this.#connection = await NativeConnection.open({
      port,
      path: `/ws?room=${ROOM}`,
      ...(this.isV1 && { protocol: SUBPROTOCOL }),
      hear: (text) => this.#guard(() => this.#hear(text)),
    });
    this.#connection.ended.then(({ code, reason }) => {
      if (!this.#isOver) this.#fail(`was closed with ${code} ${reason}`);
    });
    const greeting = `bystander ${this.number}`;
    this.#connection.send(
      this.isV1 ? JSON.stringify({ type: "hello", history: 0 }) : greeting,
    );
    await soon(this.#named.promise, `the name of ${greeting}`);
  }

  /** Says one thing after the other until `isOver`. */
  async chat(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const message = `${++this.sent}`;
      const request = { type: "message", message, id: message };
      this.#connection?.send(this.isV1 ? JSON.stringify(request) : message);
      await new Promise((resolve) => setTimeout(resolve, SAY_EVERY_MS));
    }
  }

  hasHeard(all: readonly Bystander[]): boolean {
    return all.every(({ name, sent }) => this.#newest(name) === sent);
  }

  async leave(): Promise<void> {
    this.#isOver = true;
    this.#connection?.close();
    await this.#connection?.ended;
  }

  #newest(name: string): number {
    return this.heard.get(name) ?? 0;
  }

  #hear(text: string): void {
    const events: ServerEvent[] = [JSON.parse(text)].flat();
    for (const event of events) this.#hearEvent(event);
  }

  #hearEvent(event: ServerEvent): void {
    switch (event.type) {
      case "message":
        return this.#hearMessage(event.seq, event.sender, event.message);
      case "welcome":
        this.roster.begin(event);
        this.#seq = event.seq;
        return this.#takeName(event.sender);
      case "join":
      case "leave":
        return this.roster.change(event);
      case "rename":
        return this.roster.rename(event.sender, event.name);
      case "typing":
      // A client that sends noise may delete what it said itself.
      case "delete":
        return;
      default:
        this.#fail(`was told ${JSON.stringify(event).slice(0, 200)}`);
    }
  }

  #hearMessage(seq: number, sender: string, message: string): void {
    if (this.#seq !== undefined && seq !== this.#seq + 1) {
      this.#fail(`was shown seq ${seq} after ${this.#seq}`);
    }
    this.#seq = seq;
    this.shown++;
    if (message === `bystander ${this.number}`) return this.#takeName(sender);
    const newest = this.heard.get(sender);
    // Of one that came later, the greeting may come late too.
    if (newest === undefined || message.startsWith("bystander ")) return;
    if (message !== `${newest + 1}`) {
      this.#fail(`heard "${message}" of "${sender}" after "${newest}"`);
    }
    this.heard.set(sender, newest + 1);
  }

  /** Expects what these say from now on. */
  know(all: readonly Bystander[]): void {
    for (const { name } of all) this.heard.set(name, 0);
  }

  #takeName(name: string): void {
    this.name ||= name;
    this.#named.resolve();
  }

  #guard(body: () => void): void {
    try {
      body();
    } catch (error) {
      this.#fail(String(error));
    }
  }

  #fail(what: string): void {
    this.onFault(new Error(`bystander ${this.number} "${this.name}" ${what}`));
  }
}
