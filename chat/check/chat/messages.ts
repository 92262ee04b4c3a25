// Checks of the way of a message: its form, to whom it goes, how often, in which
// order.
import { type Check, Failure } from "../check.ts";
import { masked, shown, token } from "../client.ts";
import { join, Opcode } from "../frames.ts";
import {
  ASSIGNMENT,
  chatOf,
  example,
  type Heard,
  inRoom,
  type Member,
  quoted,
} from "./member.ts";

/** What one client says in a row; also a careful server allows so few. */
const IN_A_ROW = 8;

/** The messages of a burst. */
const BURST = 200;

/** The messages of each of two clients that speak at the same time. */
const AT_ONCE = 50;

/** Numbered texts, of which no other check says any. */
export class Series {
  readonly #start = token();
  readonly texts: readonly string[];

  constructor(count: number, filler = "") {
    this.texts = Array.from(
      { length: count },
      (_, i) => `${this.#start} number ${i + 1}.${filler}`,
    );
  }

  /** The number of a text that was heard. */
  numberOf({ chat }: Heard): number | undefined {
    const at = chat?.message.indexOf(this.#start) ?? -1;
    if (at < 0) return undefined;
    const [, number] = / number (\d+)\./.exec(chat!.message.slice(at)) ?? [];
    return number === undefined ? undefined : Number(number);
  }

  /** Fails unless this member hears all texts of the speaker, in their order. */
  async assertHeardBy(
    member: Member,
    who: string,
    speaker: Member,
  ): Promise<void> {
    const count = this.texts.length;
    const heard: number[] = [];
    try {
      await member.listen((event) => {
        const number = this.numberOf(event);
        if (number !== undefined) heard.push(number);
        return number === count || undefined;
      }, `${shown(this.texts.at(-1) ?? "")} to ${who}`);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const gap = this.#gap(heard, who);
      const why = await speaker.explanation();
      throw new Failure(`${gap} ${error.message}${why}`);
    }
    if (new Set(heard).size < count) {
      // The last may have overtaken others.
      const later = await member.hearAllBefore(speaker);
      heard.push(...later.flatMap((event) => this.numberOf(event) ?? []));
    }
    if (new Set(heard).size < count) {
      const why = await speaker.explanation();
      throw new Failure(this.#gap(heard, who) + why);
    }
    const at = heard.findIndex((number, i) => number < (heard[i - 1] ?? 0));
    if (at < 0) return;
    throw new Failure(
      `One client sent ${count} messages, and ${who} got number ` +
        `${heard[at - 1]} before number ${heard[at]}. They must come in the ` +
        "order in which they were sent.",
    );
  }

  #gap(heard: number[], who: string): string {
    const count = this.texts.length;
    const came = new Set(heard);
    const missing = this.texts.findIndex((_, i) => !came.has(i + 1)) + 1;
    return `One client sent ${count} messages, and ${came.size} of them came ` +
      `to ${who}: number ${missing} is the first that is missing.`;
  }
}

/** What this member hears of two clients, until the last of each that it awaits. */
async function orderFor(
  member: Member,
  spoken: readonly Series[],
  awaited: readonly number[],
): Promise<string[]> {
  const order = new Set<string>();
  const left = new Set(awaited);
  await member.listen((heard) => {
    for (const [client, series] of spoken.entries()) {
      const number = series.numberOf(heard);
      if (number === undefined) continue;
      order.add(`message ${number} of client ${client + 1}`);
      if (number === AT_ONCE) left.delete(client);
    }
    return left.size === 0 || undefined;
  }, "all messages of two clients that spoke at the same time");
  return [...order];
}

/** Fails if two members heard the same messages in another order. */
function assertOneOrder(one: string[], other: string[], who: string): void {
  const left = one.filter((spoken) => other.includes(spoken));
  const right = other.filter((spoken) => one.includes(spoken));
  const at = left.findIndex((spoken, i) => spoken !== right[i]);
  if (at < 0) return;
  throw new Failure(
    `Clients 1 and 2 spoke at the same time. After ${at} messages client 3 got ` +
      `${left[at]}, and ${who} got ${right[at]}. All must get one order.`,
  );
}

export const messages: readonly Check[] = [
  {
    id: "chat-json",
    title: "A message comes as JSON with its sender and its text as strings",
    source: ASSIGNMENT.json,
    needs: ["handshake-status"],
    async run(target) {
      await inRoom(target, 2, async (a, b) => {
        const texts = [token(), token()] as const;
        await a.say(texts[0]);
        await b.say(texts[1]);
        const right = `The right form is ${
          example(target, "the sender's name", texts[0])
        }.`;
        let wrong: Heard | undefined;
        try {
          await a.listen((heard) => {
            const { chat, raw } = heard;
            const has = (text = "") => texts.some((own) => text.includes(own));
            if (has(chat?.message)) return true;
            if (has(raw)) wrong ??= heard;
          }, `${shown(texts[0])} to anyone`);
        } catch (error) {
          if (!wrong || !(error instanceof Failure)) throw error;
          const came = quoted(wrong.raw);
          if (!wrong.isBinary) {
            throw new Failure(`A text came as ${came}. ${right}`);
          }
          const form = chatOf(wrong.raw, target) ? "" : ` ${right}`;
          throw new Failure(
            `A text came in a binary frame as ${came}. Send it as a text ` +
              "frame (opcode 1): in Node a string, not a Buffer; in Python " +
              `str, not bytes.${form}`,
          );
        }
      });
    },
  },
  {
    id: "chat-to-sender",
    title: "A message goes to its sender, too",
    source: ASSIGNMENT.everyone,
    needs: ["chat-json"],
    async run(target) {
      await inRoom(target, 2, async (sender) => {
        const text = token();
        await sender.say(text);
        await sender.hear(text, `${shown(text)} back to its sender`);
      });
    },
  },
  {
    id: "chat-to-everyone",
    title: "A message goes to all other clients",
    source: ASSIGNMENT.everyone,
    needs: ["chat-json", "two-clients"],
    async run(target) {
      await inRoom(target, 4, async (...members) => {
        const text = token();
        // Some joined before the sender, others after it.
        await members[1]?.say(text);
        for (const [i, member] of members.entries()) {
          if (i === 1) continue;
          const what = `the text ${shown(text)} of the second client that ` +
            `joined to the one that joined as number ${i + 1}`;
          await member.hear(text, what);
        }
      });
    },
  },
  {
    id: "chat-once",
    title: "A message comes exactly once to each client",
    source: ASSIGNMENT.everyone,
    needs: ["chat-to-everyone"],
    async run(target) {
      await inRoom(target, 2, async (sender, other) => {
        const text = token();
        await sender.say(text);
        const ways = [
          ["to another client", await other.hearAllBefore(sender)],
          ["to its sender", await sender.hearAllBefore(other)],
        ] as const;
        for (const [who, heard] of ways) {
          const times = heard.filter(({ chat }) =>
            chat?.message.includes(text)
          );
          if (times.length <= 1) continue;
          throw new Failure(
            `The text ${shown(text)} was sent once and came ${times.length} ` +
              `times ${who}. It must come once.`,
          );
        }
      });
    },
  },
  {
    id: "chat-order",
    title: "The messages of one client come in the order in which it sent them",
    source: ASSIGNMENT.everyone,
    needs: ["chat-to-everyone"],
    async run(target) {
      await inRoom(target, 2, async (sender, other) => {
        const series = new Series(IN_A_ROW);
        for (const text of series.texts) await sender.say(text);
        await series.assertHeardBy(other, "another client", sender);
      });
    },
  },
  {
    id: "chat-burst",
    title: `${BURST} messages in a burst all come, in their order`,
    source: ASSIGNMENT.everyone,
    needs: ["chat-order"],
    async run(target) {
      await inRoom(target, 2, async (speaker, other) => {
        const series = new Series(BURST);
        const frames = series.texts.map((text) => masked(Opcode.text, text));
        // In one packet, or in as few as there can be.
        await speaker.write(frames.reduce(join));
        await series.assertHeardBy(other, "another client", speaker);
      });
    },
  },
  {
    id: "chat-one-order",
    title: "All clients get the messages of two clients in one order",
    source: ASSIGNMENT.everyone,
    needs: ["chat-burst"],
    async run(target) {
      await inRoom(target, 4, async (first, second, third, fourth) => {
        const spoken = [new Series(AT_ONCE), new Series(AT_ONCE)] as const;
        for (const [i, text] of spoken[0].texts.entries()) {
          await Promise.all([
            first.say(text),
            second.say(spoken[1].texts[i] ?? ""),
          ]);
        }
        const order = await orderFor(third, spoken, [0, 1]);
        const ways = [
          ["client 4", await orderFor(fourth, spoken, [0, 1])],
          // A speaker surely hears the other one.
          ["client 1 itself", await orderFor(first, spoken, [1])],
          ["client 2 itself", await orderFor(second, spoken, [0])],
        ] as const;
        for (const [who, other] of ways) assertOneOrder(order, other, who);
      });
    },
  },
];
