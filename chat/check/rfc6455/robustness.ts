// Checks of what a server has to stand: messages that are too large, clients that
// vanish, handshakes that never end (RFC 6455 sections 7.1.7, 10.4 and 10.7).
import {
  type Check,
  Failure,
  findingOf,
  type Target,
  Warning,
} from "../check.ts";
import {
  connect,
  handshakeFields,
  masked,
  requestText,
  soonest,
  WireClient,
} from "../client.ts";
import { TooLate } from "../connection.ts";
import { Opcode } from "../frames.ts";

/** How many connections are open at once, so that a class fits in. */
const MANY = 50;

/** How many of them come in at the same time. */
const TOGETHER = 10;

/** How many clients vanish one after another. */
const VANISHING = 20;

const NEEDS = ["ping-payload", "two-clients"];

type Finding = Awaited<ReturnType<typeof findingOf>>;

/** A new client comes in and gets an answer. */
async function serve(target: Target): Promise<void> {
  await (await WireClient.open(target)).ping();
}

/** A new client is still served. */
async function assertServes(target: Target, after: string): Promise<void> {
  const { status, detail } = await findingOf(serve(target), target.waitMs);
  if (status === "passed") return;
  throw new Failure(
    `After ${after} a new client was not served. ${detail} ` +
      "One client must not end the service for others.",
  );
}

/** Whether the server ends the connection by itself. */
async function isEnded(client: WireClient): Promise<boolean> {
  try {
    await client.closeCode();
    return true;
  } catch (error) {
    if (error instanceof TooLate) return false;
    throw error;
  }
}

/** Whether so many clients are served at once; if not, how many, and why no more. */
async function assertMany(target: Target): Promise<void> {
  const clients: WireClient[] = [];
  const findings: Finding[] = [];
  const found = (running: Promise<void>) => findingOf(running, target.waitMs);
  const isRight = ({ status }: Finding) => status === "passed";
  // A few at a time: a server may have a short queue of those that wait to come in.
  while (clients.length < MANY && findings.every(isRight)) {
    const coming = Array.from({ length: TOGETHER }, async () => {
      clients.push(await WireClient.open(target));
    });
    findings.push(...await Promise.all(coming.map(found)));
  }
  const pings = clients.map((client) => found(client.ping()));
  const answers = await Promise.all(pings);
  const why = [...findings, ...answers].find((it) => !isRight(it));
  if (!why) return;
  throw new Warning(
    `${answers.filter(isRight).length} clients at once were served, and the ` +
      `next one was not. ${why.detail}`,
  );
}

export const robustness: readonly Check[] = [
  {
    id: "message-too-large",
    title: "A message that is too large is refused as soon as it is announced",
    source: "RFC 6455 sections 7.4.1 (code 1009) and 10.4",
    needs: NEEDS,
    async run(target) {
      const client = await WireClient.open(target);
      await client.send(Opcode.text, "check", { length: 1n << 40n });
      const isRefused = await isEnded(client);
      await assertServes(target, "the announcement of a message of 1 TiB");
      if (isRefused) return;
      throw new Warning(
        "A message of 1 TiB was announced, and the server waits for it. It " +
          "should refuse what it can never keep, with the code 1009.",
      );
    },
  },
  {
    id: "client-vanishes",
    title: "Clients that vanish do no harm",
    source: "RFC 6455 sections 7.1.5 and 7.4.1: 1006 stands for such an end",
    needs: ["ping-payload"],
    async run(target) {
      for (let i = 0; i < VANISHING; i++) {
        const client = await WireClient.open(target);
        // In the middle of a frame, of a message, and between messages.
        if (i % 3 === 0) {
          await client.write(masked(Opcode.text, "check").subarray(0, 5));
        } else if (i % 3 === 1) {
          await client.send(Opcode.text, "check", { fin: false });
        }
        client.vanish();
      }
      await assertServes(target, `${VANISHING} clients that vanished`);
    },
  },
  {
    id: "handshake-never-ends",
    title: "A handshake that never ends holds nobody up",
    source: "RFC 6455 says nothing of it: a server has many clients",
    needs: NEEDS,
    async run(target) {
      const untilMs = soonest(target);
      const text = requestText(target, handshakeFields(target));
      for (const part of ["", text.slice(0, 20), text.slice(0, -2)]) {
        const connection = await connect(target, untilMs);
        await connection.write(part, untilMs);
      }
      await assertServes(target, "three handshakes that never ended");
    },
  },
  {
    id: "many-connections",
    title: `${MANY} clients at once are served`,
    source: "The size of a class",
    needs: NEEDS,
    run: assertMany,
  },
];
