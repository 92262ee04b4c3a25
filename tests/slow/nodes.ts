// Owns what the tests of several servers share: servers on one Redis, and a
// guest that keeps the list of who is in the room from what it is told.
// Asserts nothing. Invariant: a guest's list is its welcome's, changed by the
// events that came after it and by nothing else.
import type { Options } from "../../chat/options.ts";
import { type Hello, type Request, SUBPROTOCOL } from "../../chat/protocol.ts";
import type { World } from "../../chat/world.ts";
import { soon, startServer, type WireEvent } from "../harness.ts";
import { startRedis } from "../redis.ts";

/** How soon a server that is silent counts as dead. */
export const LEASE_SECONDS = 2;

/** Two servers on a Redis of their own, and more if asked for. */
export async function startNodes() {
  const stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const start = async (
    changes: Partial<Options> = {},
    world: Partial<World> = {},
  ) => {
    const options = { data: redis.url, lease: LEASE_SECONDS, ...changes };
    return stack.use(await startServer(options, world));
  };
  const [one, two] = [await start(), await start()];
  return {
    redis,
    one,
    two,
    start,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A seed of today, told so that what it brings can be had again. */
export function newSeed(): number {
  const given = Deno.env.get("SEED");
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
  const seed = given === undefined ? random : Number(given);
  console.log(`Seed ${seed}. Again: SEED=${seed}`);
  return seed;
}

/** Who listens without pause, and knows who is there. */
export class Guest implements AsyncDisposable {
  name = "";
  key = "";
  welcome: WireEvent;
  readonly roster = new Set<string>();
  /** As told last. */
  count = 0;
  readonly messages: WireEvent[] = [];
  /** Codes of errors. */
  readonly errors: string[] = [];
  readonly closed: Promise<CloseEvent>;
  readonly #welcomed = Promise.withResolvers<void>();

  private constructor(
    private readonly socket: WebSocket,
    hello: Partial<Hello>,
  ) {
    socket.onopen = () => this.request({ type: "hello", ...hello });
    socket.onmessage = ({ data }) => {
      for (const event of JSON.parse(data)) this.#take(event);
    };
    this.closed = new Promise((resolve) => socket.onclose = resolve);
    this.closed.then(({ code }) =>
      this.#welcomed.reject(new Error(`closed with ${code}`))
    );
  }

  static async join(url: string, hello: Partial<Hello> = {}) {
    const guest = new Guest(new WebSocket(url, SUBPROTOCOL), hello);
    await soon(guest.#welcomed.promise, `a welcome at ${url}`);
    return guest;
  }

  get isHere(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  request(request: Request): void {
    if (this.isHere) this.socket.send(JSON.stringify(request));
  }

  say(message: string, id: string = crypto.randomUUID()): void {
    this.request({ type: "message", message, id });
  }

  /** Who is in the room, by the alphabet. */
  get names(): string[] {
    return [...this.roster].sort();
  }

  get texts(): string[] {
    return this.messages.map(({ message }) => message);
  }

  #take(event: WireEvent): void {
    const { type, sender, name, count } = event;
    switch (type) {
      case "welcome":
        this.welcome = event;
        this.name = sender;
        this.key = event.key;
        this.count = count;
        for (const member of event.members) this.roster.add(member);
        return this.#welcomed.resolve();
      case "message":
        return void this.messages.push(event);
      case "error":
        return void this.errors.push(event.code);
      case "join":
        this.count = count;
        return void this.roster.add(sender);
      case "leave":
        this.count = count;
        return void this.roster.delete(sender);
      case "rename":
        this.roster.delete(sender);
        this.roster.add(name);
        if (sender === this.name) this.name = name;
    }
  }

  async [Symbol.asyncDispose]() {
    this.socket.close();
    await soon(this.closed, "the end of a connection");
  }
}
