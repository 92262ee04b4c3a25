// Who may delete a message: its author, whatever the store.
import type { MessageEvent } from "../protocol/events.ts";
import type { Deleted } from "./store.ts";

/** What becomes of an encoded message that the `author` wants to be deleted. */
export function deletionOutcome(
  event: string | undefined,
  author: string,
): Deleted {
  if (event === undefined) return "missing";
  const message = JSON.parse(event) as MessageEvent;
  // What has no author is nobody's.
  if (author === "" || message.author !== author) return "foreign";
  return message.deleted ? "repeated" : "deleted";
}
