/** A seed, printed so that `SEED=n` replays the run. */
export function newSeed(): number {
  const given = Deno.env.get("SEED");
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
  const seed = given === undefined ? random : Number(given);
  console.log(`Seed ${seed}. Again: SEED=${seed}`);
  return seed;
}
