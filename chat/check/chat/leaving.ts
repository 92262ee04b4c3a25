// Checks of what those who remain get when a client leaves: a notice of the leaving,
// and everything that the others say.
import { type Check, Failure, type Target, Warning } from "../check.ts";
import { shown, soonest } from "../client.ts";
import {
  ASSIGNMENT,
  example,
  type Heard,
  inRoom,
  isSaid,
  leavesOf,
  type Member,
  nameOf,
  namesOf,
  objectOf,
  quoted,
  withClients,
} from "./member.ts";
import { Series } from "./messages.ts";
import { assertUnique } from "./names.ts";

/** The messages of a broadcast in which clients leave. */
const BROADCAST = 120;

/** Of the longest wait: how much later a notice with the name may come. */
const NAMED_LATER = 1 / 3;

/** Whether a text has this name as words: "user1" is not in "user12 has left". */
function names(text: string, name: string): boolean {
  const isWordLike = /^\w/.test(name) && /\w$/.test(name);
  if (!isWordLike) return text.includes(name);
  return new RegExp(`(?<!\\w)${RegExp.escape(name)}(?!\\w)`).test(text);
}

/** Whether a text of JSON has this name as a value or as words of a value. */
function mentions(raw: string, name: string): boolean {
  for (const value of leavesOf(objectOf(raw))) {
    const text = typeof value === "number" ? `${value}` : value;
    if (typeof text === "string" && names(text, name)) return true;
  }
  return false;
}

/** Whether this may tell of a leaving: JSON that no member of a check said. */
function isNotice(heard: Heard): boolean {
  return !heard.isBinary && !isSaid(heard) && objectOf(heard.raw) !== undefined;
}

/** Fails unless the server tells `member` that the client `name` has left. */
async function assertTold(
  target: Target,
  member: Member,
  name: string,
  how: string,
): Promise<void> {
  const right = example(target, name, "Client disconnected");
  const find = (heard: Heard) => isNotice(heard) ? heard.raw : undefined;
  const what =
    `a notice that ${shown(name)}, which ${how}, has left, such as ${right}, ` +
    "to a client that remained";
  let plain: string | undefined;
  const first = await member.listen((heard) => {
    if (!isSaid(heard) && names(heard.raw, name)) plain ??= heard.raw;
    return find(heard);
  }, what).catch((error) => {
    if (plain === undefined || !(error instanceof Failure)) throw error;
    throw new Failure(
      `The notice that ${shown(name)}, which ${how}, has left came as ` +
        `${quoted(plain)}, but not as a JSON object in a text frame. ` +
        `A right one is ${right}.`,
    );
  });
  if (mentions(first, name)) return;
  // It may tell of something else.
  const untilMs = soonest(target) - target.waitMs * (1 - NAMED_LATER);
  try {
    await member.listen(
      (heard) => {
        const notice = find(heard);
        return notice !== undefined && mentions(notice, name) || undefined;
      },
      what,
      untilMs,
    );
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Warning(
      `The client ${shown(name)} left, and what came to those who remained ` +
        `was ${
          quoted(first)
        }. It should have the name of the client that left.`,
    );
  }
}

/** A client leaves a quiet room of three; both who remain are told. */
function told(
  id: string,
  title: string,
  how: string,
  leave: (leaver: Member, target: Target) => Promise<void> | void,
): Check {
  return {
    id,
    title,
    source: ASSIGNMENT.leave,
    needs: ["chat-name-stays"],
    async run(target) {
      await inRoom(target, 3, async (leaver, second, third) => {
        const name = await nameOf(leaver, second);
        // Now nothing is on its way to anyone.
        await leaver.hearAllBefore(second);
        await second.hearAllBefore(third);
        await third.hearAllBefore(second);
        await leave(leaver, target);
        await assertTold(target, second, name, how);
        await assertTold(target, third, name, how);
      });
    },
  };
}

export const leaving: readonly Check[] = [
  told(
    "chat-leave-close",
    "Those who remain are told when a client closes its connection",
    "closed its connection",
    (leaver, { waitMs }) => leaver.leave(waitMs),
  ),
  told(
    "chat-leave-lost",
    "Those who remain are told when a connection is lost",
    "vanished without a close frame",
    (leaver) => leaver.vanish(),
  ),
  {
    id: "chat-name-of-newcomer",
    title: "A newcomer does not get the name of a client that is there",
    source: ASSIGNMENT.name,
    needs: ["chat-names-unique", "chat-leave-close"],
    async run(target) {
      await inRoom(target, 3, async (leaver, second, third) => {
        const name = await nameOf(leaver, second);
        await second.hearAllBefore(third);
        await leaver.leave(target.waitMs);
        // The server knows of the leaving when it tells of it.
        await second.listen(
          (heard) => isNotice(heard) || undefined,
          `a notice that ${shown(name)} has left`,
        );
        const all = [
          await nameOf(second, third),
          await nameOf(third, second),
        ];
        await withClients(target, 2, async (...newcomers) => {
          all.push(...await namesOf(newcomers, second));
          assertUnique(all, "After one had left and two had come,");
        });
      });
    },
  },
  {
    id: "chat-leave-broadcast",
    title: "Those who remain get all messages while others leave",
    source: ASSIGNMENT.everyone,
    needs: ["chat-burst"],
    async run(target) {
      // Leavers before and after each who remains: a server goes through them all.
      await inRoom(target, 6, async (a, first, b, second, c, speaker) => {
        const series = new Series(BROADCAST);
        for (const [i, text] of series.texts.entries()) {
          await speaker.say(text);
          // They have not read what was sent to them: their connections are reset.
          if (i === 30) a.vanish();
          if (i === 60) b.vanish();
          if (i === 90) c.vanish();
        }
        const who = "a client that remained while three others left";
        await series.assertHeardBy(first, who, speaker);
        await series.assertHeardBy(second, who, speaker);
      });
    },
  },
  {
    id: "chat-leave-broadcast-told",
    title: "Those who remain are told when a client leaves in a broadcast",
    source: ASSIGNMENT.leave,
    needs: ["chat-leave-broadcast", "chat-leave-close", "chat-leave-lost"],
    async run(target) {
      await inRoom(target, 3, async (leaver, other, speaker) => {
        const name = await nameOf(leaver, other);
        await other.hearAllBefore(speaker);
        const { texts } = new Series(BROADCAST);
        for (const [i, text] of texts.entries()) {
          await speaker.say(text);
          if (i === BROADCAST / 2) leaver.vanish();
        }
        await assertTold(target, other, name, "vanished in a broadcast");
      });
    },
  },
];
