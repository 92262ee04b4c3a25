// The stress test in short: runs of a few seconds, each with a seed of its own. One
// is nearly always enough. The long form is `deno task stress`.
import { assertEquals } from "@std/assert";
import { commandOf, stress } from "./stress.ts";

/** What has to have happened, or nothing would be proved. */
const NEEDED = [
  "kills",
  "streams",
  "polls",
  "drops",
  "takeovers",
  "stalls",
  "resent",
  "repeatsAnswered",
  "answers",
  "deleted",
] as const;

/** A run in which one of them does not happen by chance is followed by another. */
const MAX_RUNS = 5;

async function run() {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const plan = { seed, seconds: 5, clients: 16 };
  return await stress(plan).catch((error) => {
    throw new Error(`seed ${seed}; again: ${commandOf(plan)}`, {
      cause: error,
    });
  });
}

Deno.test("nothing is lost, repeated or reordered while the server is killed and clients misbehave", async () => {
  const missing = new Set<typeof NEEDED[number]>(NEEDED);
  for (let runs = 0; runs < MAX_RUNS && missing.size > 0; runs++) {
    const tally = await run();
    for (const what of NEEDED) if (tally[what] > 0) missing.delete(what);
  }
  assertEquals([...missing], [], `did not happen in ${MAX_RUNS} runs`);
});
