// Owns how a run from the command line ends: what it says last, and its exit
// code. Never runs anything but what it was given.
// Invariant: the last line is one that CI counts, as of a test file.

/** Says whether the run passed, and ends the process. */
export function conclude(hasPassed: boolean): never {
  console.log(
    hasPassed ? "ok | 1 passed | 0 failed" : "FAILED | 0 passed | 1 failed",
  );
  Deno.exit(hasPassed ? 0 : 1);
}

/** Runs a plan and tells what came of it, and how it is run again. */
export async function runAndConclude(
  seed: number,
  command: string,
  run: () => Promise<object>,
  praise: string,
): Promise<never> {
  console.log(`Seed ${seed}. Again: ${command}`);
  try {
    const tally = await run();
    console.log(praise);
    for (const [what, count] of Object.entries(tally)) {
      console.log(`${String(count).padStart(10)}  ${what}`);
    }
  } catch (error) {
    console.error(`Failed with seed ${seed}:`, error);
    conclude(false);
  }
  conclude(true);
}
