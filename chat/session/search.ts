// Search in the kept history, the same for every store: a request reads one page of
// it, as a client that scrolls back does, and keeps the messages that contain the
// text. What it reads counts as history that the client was given, so that a search
// cannot cost more than reading all of it would.
import type { MessageEvent } from "../protocol/events.ts";
import { MAX_SENT_BYTES } from "../protocol/frames.ts";
import { MAX_HISTORY } from "../protocol/requests.ts";

/**
 * How much one request looks through: so many messages, or about so many bytes of
 * them. That is what one page of the history has, so that nobody waits longer for a
 * search than for those; the client asks again from where it ended.
 */
export const MAX_SEARCHED = MAX_HISTORY;
export const MAX_SEARCHED_BYTES = MAX_SENT_BYTES;

/** Of the encoded `events`, those whose message contains the text. */
export function search(events: readonly string[], text: string): string[] {
  const wanted = foldText(text);
  return events.filter((event) => {
    const { message } = JSON.parse(event) as MessageEvent;
    return foldText(message).includes(wanted);
  });
}

/**
 * A text such that those which differ in case alone, or in how their accents are
 * written, are the same. Upper case comes last, for it makes ß and SS one, and both
 * forms of a small sigma.
 */
export function foldText(text: string): string {
  return composed(text).toLowerCase().toUpperCase();
}

/** In Unicode's form NFC, which orders the marks of a letter. */
function composed(text: string): string {
  // To order many marks takes 20 times as long as all else of a search; a name does
  // not have so many on a letter either.
  const isPlain = /^[\0-\x7f]*$/.test(text) || /\p{M}{4}/u.test(text);
  return isPlain ? text : text.normalize("NFC");
}
