// Checks of what a chat has to stand: many messages at once, a client that does not
// read, a client that sends garbage.
import { type Check, Failure, Skip, type Target } from "../check.ts";
import { hex, masked, shown, soonest, token } from "../client.ts";
import { Ended, TooLate } from "../connection.ts";
import { frame, Opcode } from "../frames.ts";
import { ASSIGNMENT, inRoom, type Member } from "./member.ts";
import { Series } from "./messages.ts";

/**
 * What is sent to a client that does not read, in all about 8 MB: twice what the
 * systems of both ends keep for a connection. Each message has 4,000 characters.
 */
const UNREAD = { messages: 700, filler: "€".repeat(3_950) };

/** After so many long messages they are awaited, so that few are under way. */
const UNDER_WAY = 10;

/** What no client may send, and what a server may have no use for. */
const GARBAGE: readonly [what: string, bytes: () => Uint8Array][] = [
  ["a frame with an opcode that does not exist", () => masked(11, "check")],
  ["text that is not UTF-8", () => masked(Opcode.text, Uint8Array.of(255, 0))],
  [
    "a frame without a mask",
    () => frame(Opcode.text, "check", { masked: false }),
  ],
  [
    "a frame that announces 2^63 bytes",
    () => masked(Opcode.text, "check", { length: 1n << 63n }),
  ],
  ["a binary message", () => masked(Opcode.binary, Uint8Array.of(0, 1, 2))],
  ["64 bytes of 255", () => new Uint8Array(64).fill(255)],
  [
    "a request of HTTP",
    () => new TextEncoder().encode("GET / HTTP/1.1\r\nHost: check\r\n\r\n"),
  ],
];

/** Runs a part of a check; a failure says also what would be right. */
async function advised(running: Promise<void>, advice: string): Promise<void> {
  try {
    await running;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(`${error.message} ${advice}`, { cause: error });
  }
}

/** Of the longest wait: how long all the long messages may take. */
const FLOW_WAITS = 2.5;

/** Long messages come from one to the other, however many. */
async function assertFlows(
  target: Target,
  speaker: Member,
  reader: Member,
): Promise<void> {
  const endMs = performance.now() + FLOW_WAITS * target.waitMs;
  const series = new Series(UNREAD.messages, UNREAD.filler);
  for (const [i, text] of series.texts.entries()) {
    await sayBesideSilent(speaker, text);
    if ((i + 1) % UNDER_WAY !== 0) continue;
    await reader.listen(
      (heard) => series.numberOf(heard) === i + 1 || undefined,
      "to a client that reads, beside one that does not, " +
        `message number ${i + 1} of 4,000 characters`,
    );
    if (performance.now() < endMs) continue;
    throw new Skip(
      `Only ${i + 1} of ${UNREAD.messages} messages of 4,000 characters went ` +
        `through within ${
          FLOW_WAITS * target.waitMs / 1000
        } s, though nothing ` +
        "held them up. That is too slow to try it; --wait gives more time.",
    );
  }
}

/** A server that waits for one client may read from no other. */
async function sayBesideSilent(speaker: Member, text: string): Promise<void> {
  try {
    await speaker.say(text);
  } catch (cause) {
    if (!(cause instanceof Ended) && !(cause instanceof TooLate)) throw cause;
    const did = cause instanceof Ended ? "ended" : "did not read from";
    throw new Failure(
      `The server ${did} the connection of a client that sends and reads, ` +
        "while another one does not read.",
      { cause },
    );
  }
}

/** What the first says comes to the second. */
async function assertTalks(
  speaker: Member,
  listener: Member,
  after: string,
): Promise<void> {
  const text = token();
  const what = `${shown(text)} from one client to another, after ${after}`;
  try {
    await speaker.say(text);
  } catch (cause) {
    if (!(cause instanceof Ended)) throw cause;
    const message =
      `After ${after} the connection of another client was closed.`;
    throw new Failure(message, { cause });
  }
  await listener.hear(text, what);
}

export const load: readonly Check[] = [
  {
    id: "chat-not-reading",
    title: "A client that does not read holds nobody up",
    source: ASSIGNMENT.everyone,
    needs: ["chat-burst", "chat-text-long"],
    async run(target) {
      await inRoom(target, 3, async (silent, reader, speaker) => {
        const draining = speaker.drain(soonest(target) + 2 * target.waitMs);
        // It may fail while nobody waits for it yet; whoever waits then is told.
        draining.catch(() => {});
        try {
          await advised(
            assertFlows(target, speaker, reader),
            "Send to each client without waiting for the others, for example " +
              "from a queue per client.",
          );
        } finally {
          silent.vanish();
          speaker.vanish();
          await draining;
        }
      });
    },
  },
  {
    id: "chat-garbage",
    title: "A client that sends garbage harms only itself",
    source: ASSIGNMENT.everyone,
    needs: ["chat-to-everyone"],
    async run(target) {
      await inRoom(target, GARBAGE.length + 2, async (...members) => {
        const [first, ...others] = members;
        const last = others.at(-1);
        for (const [i, [what, bytes]] of GARBAGE.entries()) {
          const sent = bytes();
          await others[i]?.write(sent);
          const after = `a third client sent ${what} (${hex(sent)})`;
          const advice =
            "Catch the errors of each client where it is served, " +
            "and end the connection of that client only.";
          await advised(assertTalks(first!, last!, after), advice);
          await advised(assertTalks(last!, first!, after), advice);
          // It may be in the middle of a frame, and cannot say goodbye.
          others[i]?.vanish();
        }
      });
    },
  },
  {
    id: "chat-serves-at-end",
    title: "The server still serves new clients at the end",
    source: ASSIGNMENT.everyone,
    needs: ["chat-to-everyone"],
    async run(target) {
      await inRoom(target, 3, async (...members) => {
        for (const [i, member] of members.entries()) {
          const next = members[(i + 1) % members.length];
          await assertTalks(member, next!, "all other checks");
        }
      });
    },
  },
];
