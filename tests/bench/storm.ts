// The reconnect storm: 1,000 clients return at once, each with 100 missed
// messages, while others chat. It prints how long it took to serve them and the
// others' latency before and during the storm, only if every client got each
// message once.
import { SUBPROTOCOL } from "../../chat/protocol/requests.ts";
import { freePort, start, stop, untilListening } from "./processes.ts";
import { allServers } from "./servers.ts";

const CLIENTS = 1_000;
const MISSED = 100;
const CHATTERS = 10;
const SAY_EVERY_MS = 250;
const CALM_MS = 3_000;
const SERVER_CPU = 0;

/** A member of the full dialect that keeps count of what it has seen. */
class Member {
  seq = 0;
  epoch = "";
  onMessage = (_message: string) => {};
  #onSeq: [seq: number, reached: () => void] | undefined;

  private constructor(readonly socket: WebSocket) {}

  static async join(url: string, since?: { epoch: string; seq: number }) {
    const socket = new WebSocket(url, SUBPROTOCOL);
    const member = new Member(socket);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.onopen = () => {
      const history = since ? {} : { history: 0 };
      socket.send(JSON.stringify({ type: "hello", since, ...history }));
    };
    socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
    socket.onmessage = ({ data }) => {
      for (const event of JSON.parse(data)) {
        if (event.type === "welcome") {
          if (since && !event.recovered) reject(new Error("not recovered"));
          member.epoch = event.epoch;
          member.seq = since?.seq ?? event.seq;
          resolve();
        } else if (event.type === "message") member.#count(event);
      }
    };
    await promise;
    return member;
  }

  #count({ seq, message }: { seq: number; message: string }): void {
    if (seq !== this.seq + 1) {
      throw new Error(`message ${seq} came after ${this.seq}`);
    }
    this.seq = seq;
    this.onMessage(message);
    if (this.#onSeq && seq >= this.#onSeq[0]) this.#onSeq[1]();
  }

  reach(seq: number): Promise<void> {
    if (this.seq >= seq) return Promise.resolve();
    return new Promise((resolve) => this.#onSeq = [seq, resolve]);
  }

  say(message: string): void {
    const id = crypto.randomUUID();
    this.socket.send(JSON.stringify({ type: "message", message, id }));
  }

  leave(): Promise<void> {
    return new Promise((resolve) => {
      this.socket.onclose = () => resolve();
      this.socket.close();
    });
  }
}

const delay = (ms: number) => new Promise((wake) => setTimeout(wake, ms));

/** Each says the time again and again, and hears how long it was on its way. */
function chat(chatters: Member[]) {
  let latencies: number[] = [];
  const timers = chatters.map((chatter, i) => {
    chatter.onMessage = (message) => {
      const [author, atMs] = message.split(" ");
      if (Number(author) === i) {
        latencies.push(performance.now() - Number(atMs));
      }
    };
    return setInterval(
      () => chatter.say(`${i} ${performance.now()}`),
      SAY_EVERY_MS,
    );
  });
  return {
    /** The latencies since the last call, as text. */
    report() {
      const sorted = latencies.sort((a, b) => a - b);
      latencies = [];
      const quantile = (q: number) =>
        sorted[Math.floor(sorted.length * q)]?.toFixed(1) ?? "-";
      return `p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms ` +
        `(${sorted.length} messages)`;
    },
    stop: () => timers.forEach(clearInterval),
  };
}

async function storm(url: string): Promise<void> {
  const chatters = await Promise.all(
    Array.from({ length: CHATTERS }, () => Member.join(url)),
  );
  const crowd: Member[] = [];
  while (crowd.length < CLIENTS) crowd.push(await Member.join(url));
  const { epoch, seq } = crowd.at(-1) as Member;
  await Promise.all(crowd.map((member) => member.leave()));
  const first = chatters[0] as Member;
  for (let i = 0; i < MISSED; i++) first.say("missed");
  await first.reach(seq + MISSED);

  const conversation = chat(chatters);
  await delay(CALM_MS);
  console.log(`before  ${conversation.report()}`);
  const startMs = performance.now();
  const back = await Promise.all(
    Array.from({ length: CLIENTS }, () => Member.join(url, { epoch, seq })),
  );
  await Promise.all(back.map((member) => member.reach(seq + MISSED)));
  const tookMs = performance.now() - startMs;
  console.log(`during  ${conversation.report()}`);
  await delay(CALM_MS);
  console.log(`after   ${conversation.report()}`);
  conversation.stop();
  console.log(
    `${CLIENTS} clients came back and had their ${MISSED} messages after ` +
      `${(tookMs / 1000).toFixed(2)} s.`,
  );
}

const server = (await allServers()).find(({ dialect }) => dialect === "v1");
if (!server) throw new Error("no server speaks the full dialect");
const folder = await Deno.makeTempDir();
const port = freePort();
const child = await start(server.command(port, folder), SERVER_CPU, "null");
try {
  await untilListening(child, port);
  await storm(`ws://127.0.0.1:${port}/ws`);
} finally {
  await stop(child);
  await Deno.remove(folder, { recursive: true });
}
Deno.exit(0);
