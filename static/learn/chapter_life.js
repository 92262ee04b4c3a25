// @ts-check
// Owns the experiment of the chapter "The life of a connection": the student
// opens one, talks and ends it, and each step is drawn. Invariant: what is
// drawn has happened, in this order, on this connection.

import { SUBPROTOCOL } from "../protocol.js";
import { Caller } from "./caller.js";
import { Experiment } from "./experiment.js";
import { Sequence } from "./sequence.js";

/** @import { Place } from "./place.js" */

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
export function setUpLife(place, onUninvited) {
  const experiment = new Experiment("life-try", onUninvited);
  const sequence = new Sequence(
    experiment.part("figure", HTMLElement),
    experiment.part("list", HTMLElement),
  );
  /** @type {Caller | null} */
  let caller = null;
  let count = 0;
  let isClosing = false;

  /** Who is connected; a sentence for who is not. */
  function connected() {
    if (caller !== null) return caller;
    throw new Error("There is no connection: press Connect first.");
  }

  experiment.on("connect", async () => {
    if (caller !== null) return "There is a connection already.";
    sequence.begin();
    isClosing = false;
    sequence.add("out", "GET, Upgrade");
    const opened = await Caller.open(
      place.socket(place.freshRoom()),
      SUBPROTOCOL,
    );
    caller = opened;
    sequence.add("in", "101 Switching Protocols");
    sequence.add("note", "event: open");
    opened.listen(({ event }) => sequence.add("in", labelOf(event)));
    opened.closed.then(({ code, wasClean }) => {
      if (wasClean) sequence.add("in", `close ${code}`);
      // RFC 6455 section 5.5.1: the browser answers, and tells nobody.
      if (wasClean && !isClosing) sequence.add("out", "close, by the browser");
      sequence.add("note", `event: close, ${code}`);
      caller = null;
    });
    opened.request({ type: "hello" });
    sequence.add("out", "hello");
    const { event } = await opened.until(({ type }) => type === "welcome");
    return `Connected as ${event["sender"]}.`;
  });

  experiment.on("say", async () => {
    const talking = connected();
    const id = String(++count);
    talking.request({ type: "message", message: `word ${id}`, id });
    sequence.add("out", `message ${id}`);
    await talking.until((event) =>
      event.type === "message" && event["id"] === id
    );
    return `Message ${id} came back: it is stored.`;
  });

  experiment.on("ping", async () => {
    const talking = connected();
    const id = `ping ${++count}`;
    talking.request({ type: "ping", id });
    sequence.add("out", "ping");
    await talking.until((event) => event.type === "pong");
    return "The server answered the ping.";
  });

  experiment.on("close", async () => {
    const closing = connected();
    isClosing = true;
    closing.close();
    sequence.add("out", "close 1000");
    const { code } = await closing.closed;
    return `Closed with ${code}: both sides said so.`;
  });

  experiment.on("break", async () => {
    const closing = connected();
    closing.send("this is no JSON");
    sequence.add("out", "no JSON");
    const { code, reason } = await closing.closed;
    return `The server closed with ${code}: ${reason}.`;
  });
}

/** @param {Record<string, any>} event */
function labelOf({ type, seq }) {
  return seq === undefined || type === "welcome" ? type : `${type}, seq ${seq}`;
}
