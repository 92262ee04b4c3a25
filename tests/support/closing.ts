// How a run from the command line ends: its last line, which CI counts like
// that of a test file, and its exit code.

/** Says whether the run passed, and ends the process. */
export function conclude(hasPassed: boolean): never {
  console.log(
    hasPassed ? "ok | 1 passed | 0 failed" : "FAILED | 0 passed | 1 failed",
  );
  Deno.exit(hasPassed ? 0 : 1);
}

/** Runs a plan, and prints the outcome and how to run it again. */
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
