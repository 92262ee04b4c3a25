// Checks of the names, which the server gives.
import { type Check, Failure } from "../check.ts";
import { shown, token } from "../client.ts";
import { ASSIGNMENT, inRoom, nameOf, namesOf, withClients } from "./member.ts";

/** A class that is large for one room. */
const MANY = 50;

/** How often one client speaks to show that its name stays. */
const MESSAGES = 4;

export function assertUnique(names: string[], when: string): void {
  const at = names.findIndex((name, i) => names.indexOf(name) < i);
  if (at < 0) return;
  throw new Failure(
    `${when} two of ${names.length} clients had the same name, ` +
      `${shown(names[at] ?? "")}. Each must have a name of its own.`,
  );
}

export const names: readonly Check[] = [
  {
    id: "chat-name-stays",
    title: "All messages of a client have the same sender",
    source: ASSIGNMENT.name,
    needs: ["chat-to-everyone"],
    async run(target) {
      await inRoom(target, 2, async (speaker, other) => {
        const name = await nameOf(speaker, other);
        if (name.trim() === "") {
          throw new Failure(
            `The sender of a message was ${shown(name)}, which nobody can ` +
              "read. The server must give each client a name.",
          );
        }
        for (let i = 2; i <= MESSAGES; i++) {
          const later = await nameOf(speaker, other);
          if (later === name) continue;
          throw new Failure(
            `The sender of a client's first message was ${shown(name)}, and ` +
              `that of its message number ${i} was ${shown(later)}. ` +
              "Both must be the same.",
          );
        }
      });
    },
  },
  {
    id: "chat-name-same-for-all",
    title: "Everyone sees the same name of a client, the client itself as well",
    source: ASSIGNMENT.name,
    needs: ["chat-name-stays"],
    async run(target) {
      await inRoom(target, 3, async (speaker, second, third) => {
        const text = token();
        await speaker.say(text);
        const { sender: name } = await second.hear(text);
        const seen = [
          ["a third client", (await third.hear(text)).sender],
          // Nothing, if the server sends a message not back to its sender.
          [
            "the client itself",
            (await speaker.hearAllBefore(second)).find(({ chat }) =>
              chat?.message.includes(text)
            )?.chat?.sender ?? name,
          ],
        ] as const;
        for (const [who, sender] of seen) {
          if (sender === name) continue;
          throw new Failure(
            `The sender of one message was ${shown(name)} for a second ` +
              `client and ${shown(sender)} for ${who}. ` +
              "It must be the same for all.",
          );
        }
      });
    },
  },
  {
    id: "chat-names-unique",
    title: `${MANY} clients have ${MANY} names`,
    source: ASSIGNMENT.name,
    needs: ["chat-name-stays"],
    async run(target) {
      await inRoom(target, 2, async (first, second) => {
        const two = [
          await nameOf(first, second),
          await nameOf(second, first),
        ];
        await withClients(target, MANY - 2, async (...others) => {
          const all = [...two, ...await namesOf(others, first)];
          assertUnique(all, "In one room,");
        });
      });
    },
  },
];
