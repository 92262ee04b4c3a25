// Plays a case: a bystander, the bad client over raw TCP, what each of them got,
// what is left. In every case the bystander hears the bad client's good messages,
// that it left, and nothing else.
import { assertEquals } from "@std/assert";
import { SUBPROTOCOL } from "../../../chat/protocol/requests.ts";
import { closeCode, frame, Opcode } from "../../../chat/check/frames.ts";
import {
  Client,
  RawClient,
  startServer,
  until,
  type WireEvent,
} from "../../support/harness.ts";
import {
  type Case,
  closes,
  FINISHES,
  GOES_ON,
  HANGS_UP,
  IS_CUT,
  text,
} from "./case.ts";

/** The last thing that a client says which may go on. */
const LAST = "the last word";

/** Plays a case on a server of its own and checks all that it says. */
export async function play(tried: Case): Promise<void> {
  await using server = await startServer({ rate: 0, ...tried.options });
  await using bystander = await Client.open(server.ws);
  const { sender } = await bystander.say("ready");
  const [room] = server.hub.rooms.values();
  const says = [...tried.says ?? []];
  const bad = await BadClient.open(server.port, tried);
  try {
    await bad.greet(bystander);
    await bad.write(tried.send, tried.chop);
    if (tried.ends === GOES_ON) {
      says.push(LAST);
      await bad.say(LAST);
    }
    if (tried.ends === FINISHES) {
      await bad.finish();
      assertEquals(await bad.readOn(), IS_CUT);
    } else if (tried.ends !== HANGS_UP) {
      assertEquals(await bad.readOn(), tried.ends);
    }
    assertEquals(bad.pongs, tried.pongs ?? []);
    assertEquals(bad.told, tried.told ?? []);
    if (tried.ends === GOES_ON) assertEquals(bad.heard, says);
    if (!tried.isStubborn) bad.hangUp();
    await until(() => room?.guests.size === 1, "the bystander alone");
    // Said now, so that the news of the end need not wait for its turn.
    bystander.send("still here");
    const events = await readUpTo(bystander, "still here");
    const expected = says.map((text) => ["message", text, bad.name]);
    if (bad.name) expected.push(["leave", "Client disconnected", bad.name]);
    expected.push(["message", "still here", sender]);
    assertEquals(
      events.map(({ type, message, sender }) => [type, message, sender]),
      expected,
    );
  } finally {
    bad.hangUp();
  }
  await until(() => server.connections.size === 1, "only the bystander");
  assertEquals(server.hub.rooms.size, 1);
  assertEquals([room?.members.size, room?.guests.size], [1, 1]);
}

/** All events up to the message that says `text`; each has the next `seq`. */
async function readUpTo(client: Client, text: string): Promise<WireEvent[]> {
  const events: WireEvent[] = [];
  while (events.at(-1)?.message !== text) events.push(await client.next());
  const seqs = events.filter(({ type }) => type === "message")
    .map(({ seq }) => seq);
  assertEquals(seqs, seqs.map((_, i) => seqs[0] + i));
  return events;
}

class BadClient {
  /** What it is called, once it is in the room. */
  name: string | undefined;
  /** Payloads, as Latin-1. */
  readonly pongs: string[] = [];
  /** Types of events that concern it alone, codes of errors. */
  readonly told: string[] = [];
  /** Texts of messages, in order. */
  heard: string[] = [];
  #closedWith: string | undefined;
  #hasClosed = false;

  private constructor(
    private readonly raw: RawClient,
    private readonly tried: Case,
  ) {}

  static async open(port: number, tried: Case): Promise<BadClient> {
    const offer = tried.dialect === SUBPROTOCOL
      ? { "Sec-WebSocket-Protocol": SUBPROTOCOL }
      : undefined;
    const raw = await RawClient.upgrade(port, "/ws", offer);
    return new BadClient(raw, tried);
  }

  /**
   * Behaves once, so that it is a member and the server's handlers are in
   * place, unless the case wants it to be early.
   */
  async greet(bystander: Client): Promise<void> {
    if (this.tried.isEarly) return;
    if (this.tried.dialect === SUBPROTOCOL) {
      await this.raw.write(text('{"type":"hello"}'));
    }
    await this.say("hello");
    await this.#readUntil(() => this.heard.includes("hello"));
    this.heard = [];
    this.told.length = 0;
    assertEquals((await bystander.next()).message, "hello");
  }

  async write(send: readonly Uint8Array[], chop = Infinity): Promise<void> {
    for (const bytes of send) {
      for (let at = 0; at < bytes.length; at += chop) {
        // The server may have hung up already; what it answered is read below.
        await this.raw.write(bytes.subarray(at, at + chop)).catch(() => {});
      }
      if ((bytes[0] ?? 0) === (0x80 | Opcode.close)) this.#hasClosed = true;
    }
  }

  async say(message: string): Promise<void> {
    const request = { type: "message", message, id: message };
    const isV1 = this.tried.dialect === SUBPROTOCOL;
    // Before its welcome, a message would be refused.
    if (isV1) await this.#readUntil(() => this.name !== undefined);
    await this.raw.write(text(isV1 ? JSON.stringify(request) : message));
  }

  /** Reads up to its own last word, or to the end, and says how it ended. */
  async readOn(): Promise<string> {
    // Pages of history come when their turn is, also after what was said later.
    const isAll = () =>
      this.heard.at(-1) === LAST &&
      this.told.length >= (this.tried.told?.length ?? 0);
    const isOpen = await this.#readUntil(isAll);
    return this.#closedWith ?? (isOpen ? GOES_ON : IS_CUT);
  }

  /** False if the connection ended before, or a stubborn client was told to. */
  async #readUntil(condition: () => boolean): Promise<boolean> {
    while (!condition()) {
      const next = await this.raw.readFrame();
      if (next === undefined) return false;
      this.#take(next.opcode, next.payload);
      if (next.opcode !== Opcode.close) continue;
      if (this.tried.isStubborn) return false;
      if (this.#hasClosed) continue;
      await this.raw.write(frame(Opcode.close, next.payload)).catch(() => {});
    }
    return true;
  }

  #take(opcode: number, payload: Uint8Array): void {
    const decode = (bytes: Uint8Array) =>
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    assertEquals(this.#closedWith, undefined, "a frame after a close frame");
    if (opcode === Opcode.pong) {
      this.pongs.push(String.fromCharCode(...payload));
    } else if (opcode === Opcode.close) {
      const code = payload.length > 0 ? closeCode(payload) : undefined;
      this.#closedWith = closes(code, decode(payload.subarray(2)));
    } else {
      assertEquals(opcode, Opcode.text);
      this.#hear([JSON.parse(decode(payload))].flat());
    }
  }

  #hear(events: WireEvent[]): void {
    const isWelcome = events[0]?.type === "welcome";
    if (isWelcome) this.name = events[0].sender;
    for (const { type, message, code, sender } of events) {
      if (type !== "message") {
        if (type !== "join" && type !== "leave") this.told.push(code ?? type);
      } else if (!isWelcome) {
        this.name ??= sender;
        this.heard.push(message);
      }
    }
  }

  finish(): Promise<void> {
    return this.raw.finish();
  }

  hangUp(): void {
    this.raw[Symbol.dispose]();
  }
}
