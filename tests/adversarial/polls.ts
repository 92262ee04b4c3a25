// What polls, histories and boards cost: the attacks that once closed every
// connection, on the real program, each with what it took of memory and of the
// wire and what became of an honest member meanwhile. It prints one line for each.
//
//     deno run --lock tests/deno.lock --allow-all tests/adversarial/polls.ts
import { DRAW_SUBPROTOCOL, SUBPROTOCOL } from "../../chat/protocol/requests.ts";
import { Dice } from "../stress/dice.ts";
import { freePort, Program } from "../stress/program.ts";
import { conclude } from "../support/closing.ts";
import { Client, pause, soon, until } from "../support/harness.ts";
import { sample } from "./soak/meter.ts";

const ROOM = "busy";

/** Messages in the room, and characters of each. */
const STORED = 400;
const CHARS = 2_000;

/** How long is waited for answers that do not come. */
const QUIET_MS = 3_000;

/** Connections of an attack at a time. */
const PARALLEL = 50;

const SAY_EVERY_MS = 100;
const LOOK_EVERY_MS = 100;

interface Stage {
  program: Program;
  url: string;
  http: string;
}

/** Starts the program and fills the room. */
async function withServer(act: (stage: Stage) => Promise<string[]>) {
  const folder = await Deno.makeTempDir({ prefix: "partyline-polls-" });
  const faults: string[] = [];
  const port = freePort(new Dice(Date.now(), 1));
  const program = new Program(
    port,
    `${folder}/polls.db`,
    ["--rate", "0", "--room-rate", "0"],
    (what) => faults.push(what),
  );
  try {
    await program.start();
    const url = `ws://127.0.0.1:${port}/ws`;
    const http = `http://127.0.0.1:${port}`;
    await fill(url);
    const before = (await sample(program.pid ?? 0)).rssMib;
    const worst = { mib: before };
    const timer = setInterval(async () => {
      const { rssMib } = await sample(program.pid ?? 0)
        .catch(() => ({ rssMib: 0 }));
      worst.mib = Math.max(worst.mib, rssMib);
    }, LOOK_EVERY_MS);
    const told = await act({ program, url, http });
    clearInterval(timer);
    const memory = `RSS ${before.toFixed(0)} to ${worst.mib.toFixed(0)} MiB`;
    return [memory, ...told, ...faults].join("; ");
  } finally {
    await program.stop().catch(() => program.kill());
    await Deno.remove(folder, { recursive: true });
  }
}

async function fill(url: string): Promise<void> {
  await using client = await Client.open(`${url}?room=${ROOM}`);
  for (let i = 0; i < STORED; i++) {
    client.send(`${i} `.padEnd(CHARS, "é"));
    if (i % 50 === 49) { while ((await client.next()).seq !== i + 1); }
  }
}

/** An honest member, who reads at once, and says something now and then. */
async function withMember(
  url: string,
  act: () => Promise<string[]>,
): Promise<string[]> {
  const member = await Client.open(`${url}?room=${ROOM}`);
  let isHere = true;
  let said = 0;
  let heard = 0;
  member.closed.then(() => isHere = false);
  const reading = (async () => {
    while (isHere) {
      const event = await member.next().catch(() => undefined);
      if (event?.message?.startsWith("still here")) heard++;
    }
  })();
  const timer = setInterval(
    () => isHere && member.send(`still here ${said++}`),
    SAY_EVERY_MS,
  );
  const told = await act();
  clearInterval(timer);
  await until(() => !isHere || heard >= said, "the last word").catch(() => {});
  const what = isHere
    ? `the member stayed, and saw ${heard} of ${said}`
    : `the member was disconnected: ${(await member.closed).reason}`;
  member.socket.close();
  await Promise.race([reading, pause(QUIET_MS)]);
  return [...told, what];
}

/** Sends requests on one connection, all at once, and counts the answers. */
async function pipeline(http: string, paths: string[]) {
  const { hostname, port } = new URL(http);
  using tcp = await Deno.connect({ hostname, port: Number(port) });
  const text = paths
    .map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join("");
  const statuses: Record<string, number> = {};
  let answers = 0;
  let bytes = 0;
  const read = async () => {
    const decoder = new TextDecoder();
    const chunk = new Uint8Array(1 << 20);
    let tail = "";
    while (answers < paths.length) {
      const size = await soon(tcp.read(chunk), "an answer", QUIET_MS)
        .catch(() => null);
      if (size === null) return;
      bytes += size;
      tail += decoder.decode(chunk.subarray(0, size));
      for (const [, status = ""] of tail.matchAll(/HTTP\/1\.1 (\d{3}) /g)) {
        statuses[status] = (statuses[status] ?? 0) + 1;
        answers++;
      }
      // The beginning of a status line may be at its end.
      tail = tail.slice(-12).replace(/HTTP\/1\.1 \d{3} /, "");
    }
  };
  const reading = read();
  let rest = new TextEncoder().encode(text);
  const sent = rest.length;
  while (rest.length > 0) {
    const written = await tcp.write(rest).catch(() => 0);
    if (written === 0) break;
    rest = rest.subarray(written);
  }
  await reading;
  const counted = Object.entries(statuses)
    .map(([status, count]) => `${count} times ${status}`).join(", ");
  return `${(sent / 1e3).toFixed(0)} kB of requests brought ` +
    `${(bytes / 1e6).toFixed(1)} MB: ${counted || "no answer"}`;
}

/** New polls, each with as much history as one may ask for. */
function polls(count: number) {
  return withServer(({ url, http }) =>
    withMember(url, async () => [
      await pipeline(
        http,
        Array(count).fill(`/messages?room=${ROOM}&history=200`),
      ),
    ])
  );
}

/** As many polls as there may be, on as few connections as that takes. */
function places(connections: number, each: number) {
  return withServer(({ program, url, http }) =>
    withMember(url, async () => {
      const path = `/messages?room=${ROOM}&history=0`;
      let next = 0;
      const beganMs = performance.now();
      const run = async () => {
        while (next++ < connections) {
          await pipeline(http, Array(each).fill(path));
        }
      };
      await Promise.all(Array.from({ length: PARALLEL }, run));
      const seconds = (performance.now() - beganMs) / 1000;
      const answer = await fetch(`${http}/metrics`);
      const [, count] = /^partyline_connections (\d+)/m
        .exec(await answer.text()) ?? [];
      const { rssMib } = await sample(program.pid ?? 0);
      return [
        `${connections * each} polls on ${connections} connections in ` +
        `${seconds.toFixed(1)} s; then ${count} are held, in ` +
        `${rssMib.toFixed(0)} MiB`,
      ];
    })
  );
}

/** One poll that never says what it has, so that it gets it again. */
function repeats(count: number) {
  return withServer(({ url, http }) =>
    withMember(url, async () => {
      const asked = `/messages?room=${ROOM}&history=200`;
      const [{ key }] = await (await fetch(http + asked)).json();
      // Once more: a client that came with a key may have lost the answer.
      await (await fetch(`${http}${asked}&key=${key}`)).text();
      const path = `/messages?room=${ROOM}&wait=0&key=${key}&since=`;
      return [await pipeline(http, Array(count).fill(path))];
    })
  );
}

/** A WebSocket that comes again and again with its key, for the same history. */
function reconnects(count: number) {
  return withServer(({ url }) =>
    withMember(url, async () => {
      let key: string | undefined;
      let bytes = 0;
      const beganMs = performance.now();
      for (let i = 0; i < count; i++) {
        const socket = new WebSocket(`${url}?room=${ROOM}`, SUBPROTOCOL);
        const hello = {
          type: "hello",
          history: 200,
          ...key !== undefined && { key },
        };
        socket.onopen = () => socket.send(JSON.stringify(hello));
        const { promise, resolve } = Promise.withResolvers<void>();
        let messages = 0;
        socket.onclose = () => resolve();
        socket.onmessage = ({ data }) => {
          bytes += data.length;
          for (const event of JSON.parse(data)) {
            if (event.type === "welcome") key = event.key;
            if (event.type === "message") messages++;
          }
          if (messages >= 100) resolve();
        };
        await promise;
        socket.close();
      }
      const seconds = (performance.now() - beganMs) / 1000;
      return [
        `${count} reconnections brought ${(bytes / 1e6).toFixed(1)} million ` +
        `characters in ${seconds.toFixed(1)} s`,
      ];
    })
  );
}

/** Polls in rooms of their own; then somebody wants a new room. */
function rooms(count: number) {
  return withServer(async ({ url, http }) => {
    const paths = Array.from(
      { length: count },
      (_, i) => `/messages?room=r-${i}`,
    );
    const told = await pipeline(http, paths);
    try {
      await using member = await Client.open(`${url}?room=a-new-one`);
      await member.say("here");
      return [told, "a new room can be opened"];
    } catch {
      return [told, "no new room can be opened"];
    }
  });
}

/** Boards of 64: all draw as fast as a pen does, all but one read at once. */
function drawers(seconds: number) {
  return withServer(async ({ url }) => {
    const worker = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-prompt", "--allow-net=127.0.0.1"],
        new URL("polls/board.ts", import.meta.url).pathname,
        ...[url, DRAW_SUBPROTOCOL, `${seconds}`],
      ],
    });
    const { stdout } = await worker.output();
    return [new TextDecoder().decode(stdout).trim()];
  });
}

const ATTACKS: Record<string, () => Promise<string>> = {
  "4,000 new polls": () => polls(4_000),
  "600 new polls": () => polls(600),
  "10,000 places": () => places(1_250, 8),
  "600 repeated polls": () => repeats(600),
  "100 reconnections": () => reconnects(100),
  "1,000 rooms of polls": () => rooms(1_000),
  "64 drawers": () => drawers(10),
};

async function main(): Promise<boolean> {
  const [only] = Deno.args;
  for (const [name, attack] of Object.entries(ATTACKS)) {
    if (only !== undefined && !name.includes(only)) continue;
    console.log(`${name}: ${await attack()}`);
  }
  return true;
}

if (import.meta.main) conclude(await main());
