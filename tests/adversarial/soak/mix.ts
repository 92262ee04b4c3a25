// The mixed soak: the dice choose some attacks at a time, round by round on one
// server, with a balance after each round and at the end. The seed decides which
// attacks come, how large and when, but not how they interleave.
import { Dice } from "../../stress/dice.ts";
import { Arena } from "./arena.ts";
import { attacks } from "./attacks.ts";
import { pause } from "./field.ts";
import { Load } from "./load.ts";
import { CALM_MS, keepUp, type Plan, SETTLE_DEADLINE_MS } from "./measure.ts";
import { type Sample, scrape } from "./meter.ts";
import { type Metrics, unbalanced } from "./statistics.ts";

const AT_A_TIME = 3;
const ROUND_MS = 45_000;

/** Of the whole size, in hundredths. */
const SIZE = [5, 50] as const;
const SECONDS = [2, 12] as const;

/** How things stand when no bad client is there. */
interface Standing {
  sample: Sample;
  /** Undefined if the server has none. */
  metrics: Metrics | undefined;
}

/** Returns whether everything balanced. */
export async function mix(plan: Plan, minutes: number): Promise<boolean> {
  const dice = new Dice(plan.seed, 2);
  const problems: string[] = [];
  await using arena = await Arena.open(plan.seed);
  const endsAtMs = performance.now() + minutes * 60_000;
  await pause(CALM_MS);
  const before = await stand(arena, await arena.meter.restart());
  console.log(`      ${describe(before)}`);
  while (performance.now() < endsAtMs && arena.fault === undefined) {
    const roundMs = Math.min(ROUND_MS, endsAtMs - performance.now());
    const names = await playRound(arena, plan, dice, roundMs);
    const settled = await arena.meter.settle(before.sample, SETTLE_DEADLINE_MS);
    const now = await stand(arena, settled);
    problems.push(...compare(before, now, plan));
    console.log(`      ${describe(now)}, after ${names.join(", ")}`);
  }
  await arena.conversation.finish();
  const ghosts = await arena.findGhosts();
  if (ghosts !== undefined) problems.push(ghosts);
  const after = await stand(
    arena,
    await arena.meter.settle(before.sample, SETTLE_DEADLINE_MS),
  );
  problems.push(...compare(before, after, plan));
  await arena.conversation.leave();
  if (arena.fault !== undefined) problems.push(arena.fault);
  else {
    const code = await arena.program.stop();
    if (code !== 0) problems.push(`the server stopped with ${code}`);
  }
  problems.push(...printGood(arena));
  printBalance(before, after);
  // What it only notes about clients that it let go is no complaint.
  const complaints = arena.program.complaints.split("\n")
    .filter((line) => line !== "" && !/ info /.test(line));
  if (complaints.length > 0) {
    console.log(`The server said ${complaints.length} lines, at last:`);
    console.log(complaints.slice(-20).join("\n"));
  }
  for (const problem of new Set(problems)) console.log(`Problem: ${problem}`);
  if (problems.length === 0) console.log("Everything balances.");
  return problems.length === 0;
}

/** Attacks for a while; returns which. */
async function playRound(
  arena: Arena,
  plan: Plan,
  dice: Dice,
  roundMs: number,
): Promise<string[]> {
  const endsAtMs = performance.now() + roundMs;
  const names: string[] = [];
  const choices = attacks.filter(({ leaks }) => leaks === undefined);
  const play = async () => {
    while (performance.now() < endsAtMs && arena.fault === undefined) {
      await pause(dice.below(2_000));
      const attack = dice.pick(choices);
      if (attack === undefined) return;
      const percent = dice.between(...SIZE);
      const seconds = dice.between(...SECONDS);
      const load = new Load(attack, {
        port: arena.port,
        seed: dice.below(2 ** 32),
        scale: plan.scale * percent / 100,
      });
      const what = `${attack.name} ${percent} %`;
      names.push(what);
      try {
        const problem = await keepUp(load, arena, { ...plan, seconds });
        if (problem !== undefined) console.log(`      ${what}: ${problem}`);
      } finally {
        await load.end();
      }
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, play));
  return names;
}

async function stand(arena: Arena, sample: Sample): Promise<Standing> {
  return { sample, metrics: await scrape(arena.port) };
}

function compare(before: Standing, now: Standing, { growMib }: Plan): string[] {
  const problems: string[] = [];
  const { rssMib, descriptors } = now.sample;
  if (descriptors > before.sample.descriptors) {
    problems.push(
      `${descriptors} descriptors, ${before.sample.descriptors} before`,
    );
  }
  if (rssMib > before.sample.rssMib + growMib) {
    problems.push(`memory grew by more than ${growMib} MiB`);
  }
  if (before.metrics !== undefined && now.metrics !== undefined) {
    problems.push(...unbalanced(before.metrics, now.metrics));
  }
  return problems;
}

function describe({ sample }: Standing): string {
  return `${sample.rssMib.toFixed(0)} MiB, peak ${
    sample.peakMib.toFixed(0)
  }, ` +
    `${sample.descriptors} descriptors`;
}

/** Prints what became of the good clients; returns what was wrong with it. */
function printGood({ conversation }: Arena): string[] {
  const { transcript, said, tally } = conversation;
  const { lost, repeated, reordered, stored, faults } = transcript;
  const { p50Ms, p99Ms, maxMs } = conversation.latency(0, Infinity);
  const ms = (value: number | undefined) => value?.toFixed(1) ?? "-";
  console.log(
    `The good said ${said}, of which ${stored} were stored, ${lost} lost, ` +
      `${repeated} repeated, ${reordered} reordered; ` +
      `p50 ${ms(p50Ms)} ms, p99 ${ms(p99Ms)} ms, at most ${ms(maxMs)} ms.`,
  );
  for (const [what, count] of Object.entries(tally)) {
    console.log(`${count} times one of them: ${what}`);
  }
  const isExact = said === stored && lost + repeated + reordered === 0;
  return isExact || faults.length > 0 ? faults : ["the good are not exact"];
}

function printBalance(before: Standing, after: Standing): void {
  const rows: [string, number | undefined, number | undefined][] = [
    ["descriptors", before.sample.descriptors, after.sample.descriptors],
    ["memory MiB", before.sample.rssMib, after.sample.rssMib],
    ["peak MiB", before.sample.peakMib, after.sample.peakMib],
  ];
  for (const key of before.metrics?.gauges ?? []) {
    const value = (standing: Standing) => standing.metrics?.samples.get(key);
    rows.push([key, value(before), value(after)]);
  }
  if (before.metrics === undefined) {
    console.log("No /metrics: clients, members, names, rooms are not told.");
  }
  for (const [what, was, is] of rows) {
    const cell = (value = NaN) => String(Math.round(value)).padStart(12);
    console.log(`${what.padEnd(40)}${cell(was)}${cell(is)}`);
  }
}
