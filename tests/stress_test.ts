// The stress test in short: one run of a few seconds with a seed of its own.
// The long form is `deno task stress`.
import { assert } from "@std/assert";
import { commandOf, stress } from "./stress.ts";

Deno.test("nothing is lost, repeated or reordered while the server is killed and clients misbehave", async () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const plan = { seed, seconds: 5, clients: 16 };
  const tally = await stress(plan).catch((error) => {
    throw new Error(`seed ${seed}; again: ${commandOf(plan)}`, {
      cause: error,
    });
  });
  // A run in which these never happened would prove nothing.
  const { streams, polls, kills, drops, takeovers, stalls } = tally;
  const { resent, repeatsAnswered } = tally;
  const lines = { streams, polls, drops, takeovers, stalls };
  const needed = { kills, ...lines, resent, repeatsAnswered };
  for (const [what, count] of Object.entries(needed)) {
    assert(count > 0, `seed ${seed}: no ${what}`);
  }
});
