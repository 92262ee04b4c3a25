// The rule of all stores: only the author of a message may delete it.
import type { MessageEvent } from "../protocol/events.ts";
import type { Deleted } from "./store.ts";

/** The outcome if `author` wants an encoded message to be deleted. */
export function deletionOutcome(
  event: string | undefined,
  author: string,
): Deleted {
  if (event === undefined) return "missing";
  const message = JSON.parse(event) as MessageEvent;
  // A message without an author belongs to nobody.
  if (author === "" || message.author !== author) return "foreign";
  return message.deleted ? "repeated" : "deleted";
}
