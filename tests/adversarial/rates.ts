// Ways around the rates: each is tried for five seconds on the real program, with
// its default options, while a member who has been there for a while says something
// twice a second. It prints how much was stored, and how much of what the member
// said was refused.
//
//     deno run --lock tests/deno.lock --allow-all tests/adversarial/rates.ts
import { Dice } from "../stress/dice.ts";
import { freePort, Program } from "../stress/program.ts";
import { Client, pause, range, soon, until } from "../support/harness.ts";

const FOR_MS = 5_000;
const SAY_EVERY_MS = 500;

/** After that nobody counts as new who came before. */
const KNOWN_AFTER_MS = 31_000;

/** Until a room has forgotten what was said. */
const REST_MS = 6_000;

/** Messages that are sent before the answer to the first is there. */
const AT_ONCE = 20;

interface Target {
  ws: string;
  http: string;
  /** Those who have been there for a while, too. */
  others: Client[];
  isOver: () => boolean;
}

/** Says as much as it can on one connection, and hears what became of it. */
async function shout(client: Client, isPlain: boolean): Promise<void> {
  const last = crypto.randomUUID();
  for (const i of range(1, AT_ONCE)) {
    if (isPlain) client.send(i === AT_ONCE ? last : "x");
    else {
      const id = i === AT_ONCE ? last : crypto.randomUUID();
      client.request({ type: "message", message: "x", id });
    }
  }
  let answers = 0;
  const isAnswer = (event: { type: string; message?: string }) =>
    event.type === "error" || event.type === "message" && event.message === "x";
  while (true) {
    const event = await client.next();
    if (event.id === last || event.message === last) return;
    if (isPlain && isAnswer(event) && ++answers >= AT_ONCE) return;
  }
}

const attacks: Record<string, Attack> = {
  async "nobody attacks"({ isOver }) {
    await until(isOver, "the end", 2 * FOR_MS);
  },
  async "one key that reconnects"({ ws, isOver }) {
    let key: string | undefined;
    while (!isOver()) {
      const hello = key === undefined ? {} : { key };
      await using client = await Client.join(ws, { ...hello, history: 0 });
      key = client.welcome.key;
      await shout(client, false);
    }
  },
  async "plain clients that come anew"({ ws, isOver }) {
    while (!isOver()) {
      await using client = await Client.open(ws);
      await shout(client, true);
    }
  },
  async "POST without a key on one connection"({ http, isOver }) {
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 1 });
    while (!isOver()) {
      const url = `${http}/messages`;
      const answer = await fetch(url, { method: "POST", body: "x", client });
      await answer.body?.cancel();
    }
  },
  async "POST without a key, each on its own connection"({ http, isOver }) {
    while (!isOver()) {
      using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
      const url = `${http}/messages`;
      const answer = await fetch(url, { method: "POST", body: "x", client });
      await answer.body?.cancel();
    }
  },
  async "60 keys that have been there, each as fast as it may"(
    { others, isOver },
  ) {
    await Promise.all(others.map(async (client) => {
      while (!isOver()) {
        const id = crypto.randomUUID();
        client.request({ type: "message", message: "x", id });
        let event;
        do event = await client.next(); while (event.id !== id);
        await pause(event.retryAfter ?? 0);
      }
    }));
  },
};

/** Says something now and then, until it is over; what was refused of it. */
async function talk(client: Client, isOver: () => boolean) {
  let said = 0;
  let refused = 0;
  while (!isOver()) {
    const id = crypto.randomUUID();
    client.request({ type: "message", message: "honest", id });
    said++;
    let event;
    do event = await client.next(); while (event.id !== id);
    if (event.type === "error") refused++;
    await pause(SAY_EVERY_MS);
  }
  return { said, refused };
}

type Attack = (target: Target) => Promise<void>;

async function measure(member: Client, attack: Attack, target: Target) {
  const before = await seqAt(target);
  const [{ said, refused }] = await Promise.all([
    talk(member, target.isOver),
    attack(target),
  ]);
  const stored = await seqAt(target) - before - (said - refused);
  return `${stored} messages in ${FOR_MS / 1000} s; ` +
    `${refused} of the member's ${said} refused`;
}

async function seqAt({ ws }: Pick<Target, "ws">): Promise<number> {
  await using counter = await Client.join(ws, { history: 0 });
  return counter.welcome.seq;
}

const folder = await Deno.makeTempDir({ prefix: "partyline-rates-" });
const port = freePort(new Dice(Date.now(), 1));
const program = new Program(port, `${folder}/rates.db`, [], console.error);
try {
  await program.start();
  const ws = `ws://127.0.0.1:${port}/ws`;
  const http = `http://127.0.0.1:${port}`;
  await using member = await Client.join(ws);
  await using stack = new AsyncDisposableStack();
  const others: Client[] = [];
  for (const _ of range(1, 60)) {
    others.push(stack.use(await Client.join(ws, { history: 0 })));
  }
  await pause(KNOWN_AFTER_MS);
  for (const [name, attack] of Object.entries(attacks)) {
    const endsAtMs = performance.now() + FOR_MS;
    const isOver = () => performance.now() > endsAtMs;
    const target = { ws, http, others, isOver };
    const measured = measure(member, attack, target);
    console.log(`${name}: ${await soon(measured, name, 60_000)}`);
    await pause(REST_MS);
  }
} finally {
  await program.stop().catch(() => program.kill());
  await Deno.remove(folder, { recursive: true });
}
