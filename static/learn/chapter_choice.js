// @ts-check
// The experiment of the chapter "Which way to choose": the same messages arrive
// by WebSocket and by Server-Sent Events. Both connections are in one room, and
// both are closed at the end.

import { withCallers } from "./caller.js";
import { Experiment } from "./experiment.js";
import { fill } from "./table.js";

/** @import { Caller } from "./caller.js" */
/** @import { Place } from "./place.js" */

const WORDS = [
  "one, by WebSocket",
  "two, by POST",
  "three, by WebSocket",
  "four, by POST",
];
const DEADLINE_MS = 10_000;

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
export function setUpChoice(place, onUninvited) {
  const experiment = new Experiment("choice-try", onUninvited);
  const table = experiment.part("table", HTMLTableElement);
  experiment.on("run", () =>
    withCallers(async (open) => {
      const room = place.freshRoom();
      // Opened first, because its failure can be explained.
      const caller = await open(place.socket(room));
      const stream = new EventSource(place.http("events", room));
      try {
        const welcome = await once(stream, "welcome");
        const streamed = collect(stream);
        for (const [i, words] of WORDS.entries()) {
          if (i % 2 === 0) caller.send(words);
          else await post(place, room, welcome["key"], words);
          await Promise.all([
            caller.untilSaid(words),
            streamed.untilSaid(words),
          ]);
        }
        fill(
          table,
          WORDS.map((words) => compare(words, caller, streamed.seqs)),
        );
        return `All ${WORDS.length} arrived both ways, with the same numbers: ` +
          "the room is the same for every kind of connection.";
      } finally {
        stream.close();
      }
    }));
}

/**
 * @param {string} words
 * @param {Caller} caller
 * @param {Map<string, number>} seqs
 */
function compare(words, caller, seqs) {
  const heard = caller.heard.find(({ event }) => event["message"] === words);
  return [words, heard?.event["seq"], seqs.get(words) ?? "–"];
}

/**
 * The messages of a stream, by their words.
 *
 * @param {EventSource} stream
 */
function collect(stream) {
  /** @type {Map<string, number>} */
  const seqs = new Map();
  /** @type {() => void} */
  let look = () => {};
  stream.addEventListener("message", ({ data }) => {
    const { message, seq } = JSON.parse(data);
    seqs.set(message, seq);
    look();
  });
  return {
    seqs,
    /** @param {string} words */
    untilSaid: (words) =>
      within(
        new Promise((resolve) => {
          look = () => seqs.has(words) && resolve(undefined);
          look();
        }),
      ),
  };
}

/**
 * @param {EventSource} stream
 * @param {string} name
 * @returns {Promise<Record<string, string>>}
 */
function once(stream, name) {
  return within(
    new Promise((resolve) => {
      stream.addEventListener(name, (event) => {
        resolve(JSON.parse(/** @type {MessageEvent} */ (event).data));
      }, { once: true });
    }),
  );
}

/**
 * @template T
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
function within(promise) {
  const late = new Promise((_, reject) => {
    const why = "No event arrived on the stream within 10 seconds.";
    setTimeout(() => reject(new Error(why)), DEADLINE_MS);
  });
  return Promise.race([promise, late]);
}

/**
 * @param {Place} place
 * @param {string} room
 * @param {string | undefined} key
 * @param {string} words
 */
async function post(place, room, key, words) {
  const response = await fetch(place.http("messages", room), {
    method: "POST",
    headers: { "partyline-key": key ?? "" },
    body: words,
  });
  if (!response.ok) throw new Error(await response.text());
  await response.body?.cancel();
}
