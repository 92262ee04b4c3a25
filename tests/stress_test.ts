// The stress test in short: one run of a few seconds with a seed of its own.
// The long form is `deno task stress`.
import { assert } from "@std/assert";
import { commandOf, stress } from "./stress.ts";

Deno.test("nothing is lost, repeated or reordered while the server is killed and clients misbehave", async () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const plan = { seed, seconds: 5, clients: 16, kills: 3 };
  const tally = await stress(plan).catch((error) => {
    throw new Error(`seed ${seed}; the long form: ${commandOf(plan)}`, {
      cause: error,
    });
  });
  // A run in which these never happened would prove nothing.
  const { drops, takeovers, stalls, repeatsAnswered, recoveries } = tally;
  const { acknowledged, renames, refusedNames, pages, leavers } = tally;
  const happened = { drops, takeovers, stalls, repeatsAnswered, recoveries };
  const too = { acknowledged, renames, refusedNames, pages, leavers };
  for (const [what, count] of Object.entries({ ...happened, ...too })) {
    assert(count > 0, `seed ${seed}: no ${what}`);
  }
});
