// The table that people read: its columns, medians and ratios. A ratio is taken
// within a round, then its median over the rounds. What could not be measured is
// a dash, not a zero.
import type { Figures, Shape } from "./load.ts";

/** Deliveries per second of server CPU; NaN where no CPU time is known. */
function perCpuSecond({ deliveries, cpuMs }: Figures): number {
  return sum(deliveries) * 1000 / sum(cpuMs);
}

/** NaN if one of them is not known. */
export function sum(values: (number | null)[]): number {
  return values.reduce<number>((sum, value) => sum + (value ?? NaN), 0);
}

/** The upper one of two middles; NaN for an empty list. */
export function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

const COLUMNS = [
  "clients",
  "senders",
  "in flight",
  "server".padEnd(15),
  "deliveries/CPU s",
  "ratio".padStart(8),
  "lowest..highest",
  "server core",
  "load core",
  "p50 ms",
  "p99 ms",
];

/** Each cell to the right of its column. */
export function printRow(columns: string[], cells: string[]): void {
  const padded = cells.map((cell, i) => cell.padStart(columns[i]!.length));
  console.log(padded.join("  "));
}

/** A cell; what could not be measured is a dash. */
export function cell(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : "-";
}

/** How a server did to its rival, round by round. */
function ratioCells(
  rounds: Figures[],
  rival: string | undefined,
  rivals: Figures[] | undefined,
): string[] {
  if (rivals === undefined) return ["-", "-"];
  const ratios = rivals.map((it, i) =>
    perCpuSecond(rounds[i]!) / perCpuSecond(it)
  );
  const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
  return [
    `${cell(median(ratios), 2)} ${rival}`,
    `${cell(low, 2)}..${cell(high, 2)}`,
  ];
}

/** Medians over the rounds. */
function figureCells(rounds: Figures[]): string[] {
  const middle = (value: (round: Figures) => number, digits: number) =>
    cell(median(rounds.map(value)), digits);
  return [
    middle((it) => sum(it.cpuMs) / it.windowMs, 2),
    middle((it) => (it.loadCpuMs ?? NaN) / it.windowMs, 2),
    middle((it) => it.p50Ms, 1),
    middle((it) => it.p99Ms, 1),
  ];
}

export function printHead(): void {
  printRow(COLUMNS, COLUMNS);
}

/** One row; `rivals` are the rounds of the server that it is held to. */
export function printServer(
  { clients, senders, inFlight }: Shape,
  name: string,
  rounds: Figures[],
  rival: string | undefined,
  rivals: Figures[] | undefined,
): void {
  printRow(COLUMNS, [
    ...[clients, senders, inFlight].map(String),
    name,
    cell(median(rounds.map(perCpuSecond)), 0),
    ...ratioCells(rounds, rival, rivals),
    ...figureCells(rounds),
  ]);
}
