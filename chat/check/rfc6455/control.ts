// Checks of pings, pongs and the closing handshake (RFC 6455 sections 5.5 and 7). A
// second client is tried early, because later checks have several.
import {
  type Check,
  Failure,
  findingOf,
  type Target,
  Warning,
} from "../check.ts";
import {
  carries,
  explain,
  hex,
  masked,
  randomBytes,
  soonest,
  token,
  WireClient,
} from "../client.ts";
import { Ended, TooLate } from "../connection.ts";
import { closeCode, join, Opcode, type WireFrame } from "../frames.ts";
import { refused } from "./refused.ts";

/** A close frame's payload (RFC 6455 section 5.5.1). */
function closing(code: number, reason: string | Uint8Array = ""): Uint8Array {
  const text = typeof reason === "string"
    ? new TextEncoder().encode(reason)
    : reason;
  return join(Uint8Array.of(code >> 8, code & 255), text);
}

/** Bytes in a sentence, with their number. */
function sized(bytes: Uint8Array): string {
  const { length } = bytes;
  if (length === 0) return "no bytes";
  return `${length} ${length === 1 ? "byte" : "bytes"} (${hex(bytes)})`;
}

/** A ping with this payload is answered with the same. */
function ping(id: string, title: string, payload: () => Uint8Array): Check {
  return {
    id,
    title,
    source: "RFC 6455 sections 5.5.2 and 5.5.3",
    needs: ["handshake-status"],
    async run(target) {
      const client = await WireClient.open(target);
      const sent = payload();
      // Others may come as well: a server may send pongs that nobody asked for.
      let last: Uint8Array | undefined;
      client.onFrame = ({ opcode, payload }) => {
        if (opcode === Opcode.pong) last = payload;
      };
      await client.send(Opcode.ping, sent);
      try {
        await client.pong(sent);
      } catch (error) {
        const explained = explain(error, target, "a pong with its payload");
        if (!last || !(explained instanceof Failure)) throw explained;
        throw new Failure(
          `A ping with ${sized(sent)} was answered with ${sized(last)}. ` +
            "A pong must have the payload of its ping.",
        );
      }
    },
  };
}

const OPCODES: readonly number[] = Object.values(Opcode);

/**
 * A rule for every frame of the server: data, a pong, and a close frame if the
 * server is known to send one.
 */
function eachFrame(
  id: string,
  title: string,
  section: string,
  isRight: (frame: WireFrame) => boolean,
  rule: string,
): Check {
  return {
    id,
    title,
    source: `RFC 6455 section ${section}`,
    needs: ["ping-payload"],
    async run(target, hasPassed) {
      const client = await WireClient.open(target);
      client.onFrame = (frame) => {
        if (isRight(frame)) return;
        const start = hex(frame.header);
        throw new Failure(
          `The server sent a frame that began with ${start}. ${rule}`,
        );
      };
      const text = token();
      await client.say(text);
      // A client that leaves before its text was sent to all meets other faults.
      if (hasPassed("text-back")) await client.comesBack(text);
      await client.ping();
      if (!hasPassed("close-answered")) return;
      await answerToClose(client, target, closing(1000));
    },
  };
}

/**
 * A close frame that breaks a rule must end the connection; the server must not
 * send one like it.
 */
function badClose(
  id: string,
  title: string,
  section: string,
  payload: Uint8Array,
): Check {
  return {
    id,
    title,
    source: `RFC 6455 section ${section}`,
    needs: ["close-answered", "ping-payload"],
    async run(target) {
      const client = await WireClient.open(target);
      await client.send(Opcode.close, payload);
      const what = `A close frame with ${sized(payload)} was sent`;
      client.onFrame = ({ opcode, payload: { length }, header }) => {
        if (opcode !== Opcode.close || length !== payload.length) return;
        throw new Failure(
          `${what}, and the same came back: ${hex(header)}. ` +
            "It must not: a close frame with the code 1002 would tell of the fault.",
        );
      };
      await client.assertRefused(what);
    },
  };
}

/** Sends a close frame and returns the payload of the one that answers it. */
async function answerToClose(
  client: WireClient,
  target: Target,
  payload: Uint8Array,
): Promise<Uint8Array> {
  await client.send(Opcode.close, payload);
  const what = "a close frame in answer to a close frame";
  try {
    const answer = await closeFrame(client, target);
    if (answer) return answer;
  } catch (error) {
    throw explain(error, target, what);
  }
  throw new Failure(`The server closed the connection without ${what}.`);
}

/** The same on a connection of its own. */
async function answerOfNew(
  target: Target,
  payload: Uint8Array,
): Promise<Uint8Array> {
  return await answerToClose(await WireClient.open(target), target, payload);
}

/** A code that only stands for something: no close frame may have it. */
function badCode(code: number, why: string, needs = "close-code-1005"): Check {
  const detail = `The server answered with the code ${code}, which ${why}. ` +
    "No close frame may have it: 1002 would tell of a fault, and the server may " +
    "also just close the connection.";
  // A server that sends any code back has one fault, not three.
  return codeCheck(code, needs, () => new Failure(detail));
}

/** A code that is not given to anything: RFC 6455 does not forbid to send it back. */
function unusedCode(code: number, why: string): Check {
  const detail = `The server answered with the code ${code}, which ${why}. ` +
    "A server should find that out: 1002 would tell of it.";
  return codeCheck(code, "close-answered", () => new Warning(detail));
}

function codeCheck(code: number, needs: string, finding: () => Error): Check {
  return {
    id: `close-code-${code}`,
    title: `A close frame with the code ${code} is not answered with that code`,
    source: "RFC 6455 sections 7.4.1 and 7.4.2",
    needs: [needs],
    async run(target) {
      const client = await WireClient.open(target);
      await client.send(Opcode.close, closing(code));
      const payload = await closeFrame(client, target);
      if (!payload || payload.length < 2 || closeCode(payload) !== code) return;
      throw finding();
    },
  };
}

/** The payload of the next close frame, or undefined without one. */
async function closeFrame(
  client: WireClient,
  target: Target,
): Promise<Uint8Array | undefined> {
  const untilMs = soonest(target);
  try {
    while (true) {
      const { opcode, payload } = await client.frame(untilMs);
      if (opcode === Opcode.close) return payload;
    }
  } catch (error) {
    if (error instanceof Ended) return undefined;
    throw error;
  }
}

/** A server that serves one client until it leaves has one fault, not many. */
const twoClients: Check = {
  id: "two-clients",
  title: "Two clients at once are both served",
  source: "RFC 6455 says nothing of it: a server has many clients",
  needs: ["handshake-status"],
  async run(target, hasPassed) {
    const serve = async (client: WireClient) => {
      if (hasPassed("ping-payload")) return await client.ping();
      if (!hasPassed("text-back")) return;
      const text = token();
      // That each frame has a mask of its own is the matter of another check.
      await client.send(Opcode.text, text, { mask: [1, 2, 3, 4] });
      await client.comesBack(text);
    };
    const first = await WireClient.open(target);
    await serve(first);
    const secondIsServed = async () => serve(await WireClient.open(target));
    const { status, detail } = await findingOf(secondIsServed(), target.waitMs);
    if (status !== "passed") {
      throw new Failure(
        `While one client was connected, a second one was not served. ${detail} ` +
          "A server must not wait for the end of one client before it serves " +
          "the next one: each needs a thread or a task of its own, or an event loop.",
      );
    }
    await serve(first);
  },
};

export const control: readonly Check[] = [
  ping(
    "ping-payload",
    "A ping is answered with its payload",
    () => randomBytes(8),
  ),
  twoClients,
  ping(
    "ping-empty",
    "A ping without a payload is answered",
    () => new Uint8Array(),
  ),
  ping(
    "ping-125-bytes",
    "A ping of 125 bytes, the longest, is answered",
    () => randomBytes(125),
  ),
  refused(
    "ping-126-bytes",
    "A ping of 126 bytes is refused",
    "5.5",
    "A ping of 126 bytes",
    () => masked(Opcode.ping, randomBytes(126)),
  ),
  refused(
    "ping-fragmented",
    "A ping in fragments is refused",
    "5.5",
    "The first fragment of a ping",
    () => masked(Opcode.ping, "check", { fin: false }),
  ),
  {
    id: "pings-in-a-row",
    title: "Of many pings at once, the last one is answered at least",
    source: "RFC 6455 section 5.5.3",
    needs: ["ping-payload"],
    async run(target) {
      const client = await WireClient.open(target);
      const payloads = Array.from({ length: 20 }, () => randomBytes(8));
      const pings = payloads.map((payload) => masked(Opcode.ping, payload));
      await client.write(pings.reduce(join, new Uint8Array()));
      await client.pong(payloads.at(-1)!);
    },
  },
  {
    id: "pong-unasked",
    title: "A pong that nobody asked for is ignored",
    source: "RFC 6455 section 5.5.3",
    needs: ["ping-payload"],
    async run(target) {
      const client = await WireClient.open(target);
      await client.send(Opcode.pong, "check");
      try {
        await client.ping();
      } catch (error) {
        if (!(error instanceof Ended)) throw error;
        throw new Failure(
          "A pong without a ping was sent, and the server closed the " +
            "connection. It must ignore the pong.",
        );
      }
    },
  },
  {
    id: "close-answered",
    title: "A close frame is answered with a close frame",
    source: "RFC 6455 section 5.5.1",
    needs: ["handshake-status"],
    run: async (target) => void await answerOfNew(target, closing(1000)),
  },
  eachFrame(
    "server-unmasked",
    "The server never masks a frame",
    "5.1",
    ({ isMasked }) => !isMasked,
    "Only clients mask.",
  ),
  eachFrame(
    "server-reserved-bits",
    "The server sets no reserved bit when no extension is agreed",
    "5.2",
    ({ reserved }) => reserved === 0,
    "The three bits after the first one must be 0.",
  ),
  eachFrame(
    "server-opcodes",
    "The server sends no frame with a reserved opcode",
    "5.2",
    ({ opcode }) => OPCODES.includes(opcode),
    "The opcodes 3 to 7 and 11 to 15 have no meaning yet.",
  ),
  eachFrame(
    "server-control-frames",
    "The server sends no control frame in fragments or over 125 bytes",
    "5.5",
    ({ opcode, fin, payload: { length } }) =>
      opcode < Opcode.close || fin && length <= 125,
    "A close frame, a ping or a pong has at most 125 bytes and is one frame.",
  ),
  {
    id: "close-code-sent-back",
    title: "The answer to a close frame has its code",
    source: "RFC 6455 section 5.5.1",
    // Each code has a client of its own, and a server ends the last one when it likes.
    needs: ["close-answered", "two-clients"],
    async run(target) {
      for (const code of [1000, 1001, 3000, 4999]) {
        const payload = await answerOfNew(target, closing(code));
        if (closeCode(payload) === code) continue;
        throw new Warning(
          `A close frame with the code ${code} was answered with ` +
            `${closeCode(payload)}. An endpoint typically sends the code back.`,
        );
      }
    },
  },
  {
    id: "close-empty",
    title: "A close frame without a payload is answered",
    source: "RFC 6455 section 5.5.1",
    needs: ["close-answered"],
    async run(target) {
      const payload = await answerOfNew(target, new Uint8Array());
      if (payload.length === 0 || isCode(closeCode(payload))) return;
      throw new Failure(
        `An empty close frame was answered with ${
          sized(payload)
        }, which is no ` +
          "code that a close frame may have. 1000 is one, or no code at all.",
      );
    },
  },
  {
    id: "close-longest-reason",
    title: "A close frame with the longest reason, 123 bytes, is answered",
    source: "RFC 6455 sections 5.5 and 5.5.1",
    needs: ["close-answered"],
    run: async (target) =>
      void await answerOfNew(target, closing(1000, "x".repeat(123))),
  },
  badClose(
    "close-126-bytes",
    "A close frame of 126 bytes is refused",
    "5.5",
    closing(1000, "x".repeat(124)),
  ),
  {
    id: "close-then-end",
    title: "After the closing handshake the server closes the connection",
    source: "RFC 6455 sections 5.5.1 and 7.1.1",
    needs: ["close-answered"],
    async run(target) {
      const client = await WireClient.open(target);
      await answerToClose(client, target, closing(1000));
      try {
        await client.connection.drain(soonest(target));
      } catch (error) {
        if (!(error instanceof TooLate)) throw error;
        throw new Failure(
          `The server left the connection open for ${target.waitMs / 1000} s ` +
            "after both close frames. The server has to close it first.",
        );
      }
    },
  },
  badClose(
    "close-1-byte",
    "A close frame with half a code is refused",
    "5.5.1",
    Uint8Array.of(3),
  ),
  badCode(1005, "only stands for a missing code", "close-answered"),
  badCode(1006, "only stands for a lost connection"),
  badCode(1015, "only stands for a failed TLS handshake"),
  unusedCode(999, "is below all codes"),
  unusedCode(1004, "is reserved"),
  unusedCode(5000, "is above all codes"),
  {
    id: "close-reason-utf-8",
    title: "A reason that is not UTF-8 is not sent back",
    source: "RFC 6455 sections 5.5.1 and 8.1",
    needs: ["close-answered"],
    async run(target) {
      const client = await WireClient.open(target);
      const bad = Uint8Array.of(0x78, 0xff);
      await client.send(Opcode.close, closing(1000, bad));
      const payload = await closeFrame(client, target);
      if (!payload?.subarray(2).toHex().includes(bad.toHex())) return;
      throw new Failure(
        "The reason 78 ff, which is not UTF-8, came back. " +
          "The answer must have no such reason.",
      );
    },
  },
  {
    id: "close-inside-fragments",
    title: "A close frame between fragments is answered",
    source: "RFC 6455 sections 5.4 and 5.5.1",
    needs: ["close-answered"],
    async run(target) {
      const client = await WireClient.open(target);
      await client.send(Opcode.text, "check", { fin: false });
      await answerToClose(client, target, closing(1000));
    },
  },
  {
    id: "close-then-data",
    title: "What comes after a close frame is not read",
    source: "RFC 6455 sections 1.4 and 5.5.1",
    needs: ["text-back", "close-answered", "two-clients"],
    async run(target) {
      const text = token();
      // Where a message goes to everyone, somebody else sees it, too.
      const other = await WireClient.open(target);
      const client = await WireClient.open(target);
      await client.write(
        join(masked(Opcode.close, closing(1000)), masked(Opcode.text, text)),
      );
      const failure = new Failure(
        "A text frame after a close frame was read. " +
          "The server must ignore what follows a close frame.",
      );
      const untilMs = soonest(target);
      try {
        while (true) {
          const { opcode, payload } = await client.frame(untilMs);
          const isText = opcode <= Opcode.binary;
          if (isText && carries(new TextDecoder().decode(payload), text)) {
            throw failure;
          }
        }
      } catch (error) {
        // A server that does not close is the matter of another check.
        if (!(error instanceof Ended) && !(error instanceof TooLate)) {
          throw error;
        }
      }
      await client.leave();
      // A server that serves somebody new has forgotten the one that left.
      await WireClient.open(target);
      const later = token();
      await other.say(later);
      await other.text((received) => {
        if (carries(received, text)) throw failure;
        return carries(received, later);
      });
    },
  },
];

/** Whether a close frame may have this code (RFC 6455 section 7.4). */
function isCode(code: number): boolean {
  const isReserved = [1004, 1005, 1006, 1015].includes(code);
  return code >= 1000 && code < 5000 && !isReserved;
}
