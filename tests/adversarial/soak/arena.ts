// What a soak runs against: the real program with its data in a file, the good
// clients and the meter. Disposing of it ends the server and removes the file,
// whatever became of them.
import { Client } from "../../support/harness.ts";
import { Dice } from "../../stress/dice.ts";
import { freePort, Program } from "../../stress/program.ts";
import { BUSY_ROOM } from "./attacks.ts";
import { Conversation } from "./conversation.ts";
import { pause } from "./field.ts";
import { Meter } from "./meter.ts";

/** Room for 10,000 bad clients beside the good ones; all else as by default. */
const FLAGS = ["--max-clients", "12000"];

/** How long ghosts may stay that the server has not noticed yet. */
const GHOST_DEADLINE_MS = 45_000;

export class Arena implements AsyncDisposable {
  /** Why the server ended, if it did so by itself. */
  fault: string | undefined;

  private constructor(
    readonly program: Program,
    readonly conversation: Conversation,
    readonly meter: Meter,
    private readonly folder: string,
  ) {}

  static async open(seed: number): Promise<Arena> {
    const folder = await Deno.makeTempDir({ prefix: "partyline-soak-" });
    const port = freePort(new Dice(seed, 1));
    let arena: Arena | undefined;
    const program = new Program(port, `${folder}/soak.db`, FLAGS, (what) => {
      if (arena !== undefined) arena.fault = what;
    });
    try {
      await program.start();
      const conversation = new Conversation(port, seed);
      await conversation.begin();
      const meter = await Meter.start(program.pid ?? 0);
      arena = new Arena(program, conversation, meter, folder);
      return arena;
    } catch (error) {
      await program.kill();
      await Deno.remove(folder, { recursive: true });
      throw error;
    }
  }

  get port(): number {
    return this.program.port;
  }

  /** Waits until nobody but the good is in their room; else says who is. */
  async findGhosts(): Promise<string | undefined> {
    const url = `ws://127.0.0.1:${this.port}/ws?room=${BUSY_ROOM}`;
    const expected = this.conversation.clients.length + 1;
    const giveUpAtMs = performance.now() + GHOST_DEADLINE_MS;
    while (this.fault === undefined) {
      await using probe = await Client.join(url, { history: 0 });
      const { count } = probe.welcome;
      if (count === expected) return;
      if (performance.now() > giveUpAtMs) {
        return `${count} are in the room, ${expected} should be`;
      }
      await pause(500);
    }
  }

  async [Symbol.asyncDispose]() {
    this.meter[Symbol.dispose]();
    this.conversation.isEnding = this.conversation.isOver = true;
    for (const client of this.conversation.clients) client.hangUp();
    await this.program.kill();
    await Deno.remove(this.folder, { recursive: true });
  }
}
