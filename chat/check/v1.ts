// Checks of `partyline.v1`: recovery, repeats, refusals. Each one is in a room of its
// own, unless the address names a room, so that nobody is disturbed.
import type { Check } from "./check.ts";
import { hello } from "./v1/hello.ts";
import { messages } from "./v1/messages.ts";
import { recovery } from "./v1/recovery.ts";
import { refusals } from "./v1/refusals.ts";

/** In the order in which they run: what others need comes first. */
export const v1: readonly Check[] = [
  ...hello,
  ...messages,
  ...recovery,
  ...refusals,
];
