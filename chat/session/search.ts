// Search in the kept history, the same for every store: a request reads one
// page of history, as a client that scrolls back does, and returns the messages
// that contain the text. The page counts as history that the client was given,
// so that a search costs no more than reading the history.
import type { MessageEvent } from "../protocol/events.ts";
import { MAX_SENT_BYTES } from "../protocol/frames.ts";
import { MAX_HISTORY } from "../protocol/requests.ts";

/**
 * How much one request searches: this many messages, or about this many bytes
 * of them. Small enough that other clients hardly wait; the client asks again
 * from where the search ended.
 */
export const MAX_SEARCHED = MAX_HISTORY;
export const MAX_SEARCHED_BYTES = MAX_SENT_BYTES;

/** The encoded `events` whose message contains the text. */
export function search(events: readonly string[], text: string): string[] {
  const wanted = foldText(text);
  return events.filter((event) => {
    const { message } = JSON.parse(event) as MessageEvent;
    return foldText(message).includes(wanted);
  });
}

/**
 * A text for comparison, without differences in case or in how accents are
 * written. Upper case comes last, because it unites ß with SS, and both forms
 * of a small sigma.
 */
export function foldText(text: string): string {
  return composed(text).toLowerCase().toUpperCase();
}

/** In Unicode's form NFC, which orders the marks of a letter. */
function composed(text: string): string {
  // To order many marks takes 20 times as long as the rest of a search, and no
  // name has so many on one letter.
  const isPlain = /^[\0-\x7f]*$/.test(text) || /\p{M}{4}/u.test(text);
  return isPlain ? text : text.normalize("NFC");
}
