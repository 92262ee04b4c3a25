// What the tests of several servers share: servers on one Redis, each with a network
// of its own that can fail, and guests who note what they hear, in the order in
// which it came.
import { Logger } from "../../chat/ops/logger.ts";
import { Metrics } from "../../chat/ops/metrics.ts";
import type { Options } from "../../chat/options.ts";
import {
  type Hello,
  type Request,
  SUBPROTOCOL,
} from "../../chat/protocol/requests.ts";
import type { WelcomeEvent } from "../../chat/protocol/events.ts";
import type { Context } from "../../chat/ops/context.ts";
import { RedisStore } from "../../chat/store/redis/store.ts";
import { type CutProxy, startCutProxy } from "../support/cut_proxy.ts";
import {
  Client,
  pause,
  soon,
  START_DEADLINE_MS,
  startServer,
  type TestServer,
  until,
  type WireEvent,
} from "../support/harness.ts";
import { type Redis, type RedisOptions, startRedis } from "../support/redis.ts";
import { Dice } from "../stress/dice.ts";
import { freePort, Program } from "../stress/program.ts";

export interface Node extends TestServer {
  /** What the operator reads. */
  readonly lines: string[];
  /** Its way to Redis. */
  readonly network: CutProxy;
  /** What its operator counts. */
  readonly metrics: Metrics;
}

export interface Cluster extends AsyncDisposable {
  readonly redis: Redis;
  readonly one: Node;
  readonly two: Node;
}

/** A server with a lease of 2 s whose Redis is at `url`, by a network. */
export async function startNode(
  redis: Redis,
  changes: Partial<Options> = {},
  context: Partial<Context> = {},
): Promise<Node> {
  const network = startCutProxy(redis.port);
  const lines: string[] = [];
  const metrics = new Metrics();
  try {
    const data = redis.url.replace(`:${redis.port}`, `:${network.port}`);
    const server = await startServer({ data, lease: 2, ...changes }, {
      logger: new Logger("text", (line) => lines.push(line), Date.now),
      metrics,
      ...context,
    });
    return {
      ...server,
      lines,
      network,
      metrics,
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await network[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await network[Symbol.asyncDispose]();
    throw error;
  }
}

/** The real program, which can be killed; with a lease of 2 s. */
export async function startProgram(redis: Redis) {
  const port = freePort(new Dice(Math.random() * 2 ** 32, 0));
  const program = new Program(port, redis.url, ["--lease", "2"], (what) => {
    throw new Error(what);
  });
  await program.start();
  return Object.assign(program, {
    ws: `ws://127.0.0.1:${port}/ws`,
    [Symbol.asyncDispose]: () => program.kill(),
  });
}

/** Two servers on a Redis of their own. */
export async function startCluster(
  options: RedisOptions = {},
  changes: Partial<Options> = {},
  context: Partial<Context> = {},
): Promise<Cluster> {
  const stack = new AsyncDisposableStack();
  try {
    const redis = stack.use(await startRedis(options));
    const [one, two] = [
      stack.use(await startNode(redis, changes, context)),
      stack.use(await startNode(redis, changes, context)),
    ];
    return {
      redis,
      one,
      two,
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Waits until it is so in Redis, say, which has to be asked. */
export async function untilIn(isSo: () => Promise<boolean>, what: string) {
  const giveUpAtMs = performance.now() + START_DEADLINE_MS;
  while (!await isSo()) {
    if (performance.now() > giveUpAtMs) throw new Error(`in vain: ${what}`);
    await pause(20);
  }
}

/** Waits until the server can store messages. */
export const ready = ({ metrics }: Node) =>
  until(() => metrics.isStoreWritable, "a store that can be written");

/** Waits until the server has noticed that it cannot. */
export const away = ({ metrics }: Node) =>
  until(() => !metrics.isStoreWritable, "a store that cannot be written");

/** The store of a server, by itself; it keeps 100 messages. */
export const openStore = (
  url: string,
  { leaseMs = 15_000, keep = 100, noteStatus = (_trouble?: Error) => {} } = {},
) =>
  RedisStore.open({ url, ca: "", keep, rate: 0, leaseMs }, {
    random: Math.random,
    noteStatus,
  });

/** A client that notes what was taken of all that came. */
export interface Guest extends AsyncDisposable {
  readonly socket: WebSocket;
  readonly closed: Promise<CloseEvent>;
  readonly heard: WireEvent[];
  next(): Promise<WireEvent>;
  nextOf(type: string): Promise<WireEvent>;
  request(request: Request): void;
  /** Says it in its dialect; without an `id` the text is that. */
  say(text: string, id?: string): void;
}

function noting(client: Client, isPlain: boolean): Guest {
  const heard: WireEvent[] = [];
  const next = client.next.bind(client);
  return Object.assign(client, {
    heard,
    next: async () => {
      const event = await next();
      heard.push(event);
      return event;
    },
    say: (message: string, id = message) =>
      isPlain
        ? client.send(message)
        : client.request({ type: "message", message, id }),
  } as Pick<Guest, "heard" | "next" | "say">) as unknown as Guest;
}

/** Somebody who speaks the plain dialect, and says `word` to know its name. */
export async function drop({ ws }: Pick<TestServer, "ws">, word: string) {
  const guest = noting(await Client.open(ws), true);
  guest.say(word);
  while (true) {
    const { message, sender } = await guest.next();
    if (message === word) return Object.assign(guest, { name: `${sender}` });
  }
}

/** Somebody who speaks the full dialect. */
export async function join(
  { ws }: Pick<TestServer, "ws">,
  hello: Partial<Hello> = {},
) {
  const protocols = [SUBPROTOCOL];
  const guest = noting(await Client.open(ws, { protocols }), false);
  guest.request({ type: "hello", ...hello });
  const welcome: WelcomeEvent = await guest.nextOf("welcome");
  return Object.assign(guest, { welcome });
}

export type Member = Guest & { welcome: WelcomeEvent };

export interface Four {
  ann: Member;
  pia: Guest & { name: string };
  bob: Member;
  pol: Guest & { name: string };
}

/** Two members and two plain guests, who have heard each other. */
export async function gather(
  { one, two }: Cluster,
  stack: AsyncDisposableStack,
): Promise<Four> {
  const ann = stack.use(await join(one, { name: "Ann" }));
  const pia = stack.use(await drop(one, "I am Pia"));
  const bob = stack.use(await join(two, { name: "Bob" }));
  const pol = stack.use(await drop(two, "I am Pol"));
  for (const guest of [ann, pia, bob]) await hear(guest, "I am Pol");
  return { ann, pia, bob, pol };
}

/** What was said, as this guest heard it. */
export function textsOf({ heard }: Guest): string[] {
  return heard.filter(({ type }) => type === "message")
    .map(({ message }) => message);
}

/** Waits until the guest has heard all of these messages. */
export async function hear(guest: Guest, ...texts: string[]): Promise<void> {
  while (!texts.every((text) => textsOf(guest).includes(text))) {
    await guest.next();
  }
}

/** Who is in the room, to somebody who was noteStatus once and heard the rest. */
export function rosterOf({ welcome, heard }: Member): string[] {
  const names = new Set(welcome.members);
  for (const { type, sender, name } of heard) {
    if (type === "leave" || type === "rename") names.delete(sender);
    if (type === "join") names.add(sender);
    if (type === "rename") names.add(name);
  }
  return [...names].sort();
}

/** Who listens without pause, and knows who is there. */
export class Watcher implements AsyncDisposable {
  name = "";
  key = "";
  welcome: WireEvent;
  readonly roster = new Set<string>();
  /** As noteStatus last. */
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
    const guest = new Watcher(new WebSocket(url, SUBPROTOCOL), hello);
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
