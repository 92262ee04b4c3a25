// How a soak's figures are shown to a person. What is not known is a dash, not a
// zero.
import type { Row } from "./measure.ts";

/** Three numbers are before, at the worst, after; two are before and during. */
const HEAD = [
  "attack".padEnd(20),
  "           RSS MiB",
  " peak",
  "       descriptors",
  "      p50 ms",
  "      p99 ms",
  "max ms",
  "cores",
  " said",
  "lost/repeated/reordered",
  "cut off",
  "evicted",
];

const whole = (value: number) => value.toFixed(0);

const row = (...values: string[]) =>
  values.map((value) => value.padStart(6)).join("");

function ms(value: number | undefined): string {
  return value === undefined ? "-" : value.toFixed(value < 10 ? 1 : 0);
}

export function printHead(): void {
  console.log(HEAD.join("  "));
}

export function printRow(it: Row): void {
  const { before, worst, after, calm, during } = it;
  const all = [before, worst, after];
  const cells = [
    it.attack.name.padEnd(20),
    row(...all.map(({ rssMib }) => whole(rssMib))),
    whole(worst.peakMib),
    row(...all.map(({ descriptors }) => whole(descriptors))),
    row(ms(calm.p50Ms), ms(during.p50Ms)),
    row(ms(calm.p99Ms), ms(during.p99Ms)),
    ms(during.maxMs),
    it.cores.toFixed(2),
    `${it.said}`,
    `${it.lost}/${it.repeated}/${it.reordered}`,
    `${it.interruptions}`,
    it.evictions === undefined ? "-" : `${it.evictions}`,
  ];
  console.log(
    cells.map((cell, i) => cell.padStart(HEAD[i]?.length ?? 0)).join("  "),
  );
  const tally = Object.entries(it.tally)
    .map(([what, count]) => `${Math.round(count)} ${what}`);
  if (tally.length > 0) console.log(`    bad clients: ${tally.join(", ")}`);
  for (const note of it.notes) console.log(`    ${note}`);
}
