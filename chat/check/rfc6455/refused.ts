// A check that sends what breaks a rule and expects the end of the connection (RFC
// 6455 section 7.1.7), which is how most faults of a client have to be answered.
import type { Check } from "../check.ts";
import { hex, WireClient } from "../client.ts";

/** `sent` must end the connection; `what` names it in a sentence. */
export function refused(
  id: string,
  title: string,
  section: string,
  what: string,
  sent: () => Uint8Array,
  needs = "ping-payload",
): Check {
  return {
    id,
    title,
    source: `RFC 6455 section ${section}`,
    needs: [needs],
    async run(target) {
      const client = await WireClient.open(target);
      const bytes = sent();
      await client.write(bytes);
      await client.assertRefused(`${what} was sent: ${hex(bytes)}`);
    },
  };
}
