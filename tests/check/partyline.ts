// What `partyline check` finds in Partyline itself: each finding with its reason, most
// of which are Deno's. Deno 2.6.8, 2.8.2 and 2.9.6 have the same ones; the page
// docs/conformance tells more of them. A check that fails and is not listed here is a
// fault of Partyline, or of the check.
import type { Findings } from "./findings.ts";

/** Of every address. */
const DENO: Findings = {
  // Deno.serve upgrades such a request and does not tell a handler of its version.
  "handshake-http-1-0": "failed",
  // Its frame reader asks for no mask ("unmasked" on the page).
  "unmasked-text": "failed",
  "unmasked-ping": "failed",
  // It sends back what it should refuse ("long-close" on the page).
  "close-126-bytes": "failed",
};

/** Of `/echo`, by the profile `rfc6455`. */
export const ECHO = DENO;

/** Of `/ws`, by the profile `chat`. */
export const CHAT: Findings = {
  ...DENO,
  // Not faults: a message has at most 4,000 characters.
  "length-65535": "skipped",
  "length-65536": "skipped",
};
