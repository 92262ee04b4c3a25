// The tables of the bench of several servers: their columns and ratios. A ratio
// to one server alone is taken within a round, then its median over the rounds.
// What is not known is a dash.
import type { Figures, Shape } from "./load.ts";
import { cell, median, printRow, sum } from "./table.ts";

/** Who serves: some nodes on one Redis, or one node with a file. */
export interface SetUp {
  nodes: number;
  hasRedis: boolean;
}

const SET_UP = "nodes".padEnd(8);

const NODE_COLUMNS = [
  SET_UP,
  "messages/s",
  "deliveries/CPU s",
  "in 1000, by node".padStart(20),
  "ratio",
  "lowest..highest",
  "CPU us/message by node",
  "server core",
  "load core",
];

const REDIS_COLUMNS = [
  SET_UP,
  "Redis CPU s/s",
  "CPU us/message",
  "calls/message",
  "bytes sent/message",
  "p50 ms",
  "p99 ms",
  "p50 more",
  "p99 more",
];

/** All clients get all messages, so this many were said. */
function messagesOf({ deliveries }: Figures, { clients }: Shape): number {
  return sum(deliveries) / clients;
}

/** Deliveries per second of the nodes' CPU time, without that of Redis. */
function perCpuSecond({ deliveries, cpuMs }: Figures): number {
  return sum(deliveries) * 1000 / sum(cpuMs.slice(0, deliveries.length));
}

/** Time of Redis; NaN if there is none. */
function redisMs({ cpuMs, redis }: Figures): number {
  return redis === null ? NaN : cpuMs.at(-1) ?? NaN;
}

/** Two tables; `seen` are the rounds of each set-up, first of one node alone. */
export function printShape(
  shape: Shape,
  setUps: SetUp[],
  seen: Figures[][],
): void {
  const { clients, senders, inFlight } = shape;
  console.log(
    `\n${clients} clients in one room, ${senders} of them sending with ` +
      `${inFlight} in flight\n`,
  );
  const names = setUps.map(({ nodes, hasRedis }) =>
    `${nodes} ${hasRedis ? "Redis" : "file"}`
  );
  const [alone = []] = seen;
  const print = (
    columns: string[],
    cells: (rounds: Figures[]) => string[],
  ) => {
    printRow(columns, columns);
    seen.forEach((rounds, i) =>
      printRow(columns, [names[i]!, ...cells(rounds)])
    );
  };
  print(NODE_COLUMNS, (rounds) => nodeCells(shape, rounds, alone));
  console.log();
  print(REDIS_COLUMNS, (rounds) => redisCells(shape, rounds, alone));
}

function nodeCells(
  shape: Shape,
  rounds: Figures[],
  alone: Figures[],
): string[] {
  const middle = (value: (it: Figures) => number) => median(rounds.map(value));
  const byNode = (
    value: (it: Figures, node: number) => number,
    digits: number,
  ) =>
    rounds[0]!.deliveries
      .map((_, node) => cell(middle((it) => value(it, node)), digits))
      .join(" ");
  const ratios = rounds.map((it, round) =>
    perCpuSecond(it) / perCpuSecond(alone[round]!)
  );
  const messages = (it: Figures) => messagesOf(it, shape);
  return [
    cell(middle((it) => messages(it) * 1000 / it.windowMs), 0),
    cell(middle(perCpuSecond), 0),
    byNode(({ deliveries, cpuMs }, i) => deliveries[i]! / (cpuMs[i] ?? NaN), 1),
    cell(median(ratios), 2),
    `${cell(Math.min(...ratios), 2)}..${cell(Math.max(...ratios), 2)}`,
    byNode((it, i) => (it.cpuMs[i] ?? NaN) * 1000 / messages(it), 0),
    cell(middle((it) => sum(it.cpuMs) / it.windowMs), 2),
    cell(middle((it) => (it.loadCpuMs ?? NaN) / it.windowMs), 2),
  ];
}

function redisCells(
  shape: Shape,
  rounds: Figures[],
  alone: Figures[],
): string[] {
  const middle = (value: (it: Figures, round: number) => number) =>
    median(rounds.map(value));
  const perMessage = (value: (it: Figures) => number) =>
    middle((it) => value(it) / messagesOf(it, shape));
  const more = (value: (it: Figures) => number) =>
    rounds === alone
      ? NaN
      : middle((it, round) => value(it) - value(alone[round]!));
  return [
    cell(middle((it) => redisMs(it) / it.windowMs), 3),
    cell(perMessage(redisMs) * 1000, 1),
    cell(perMessage(({ redis }) => redis?.calls ?? NaN), 3),
    cell(perMessage(({ redis }) => redis?.sentBytes ?? NaN), 0),
    cell(middle((it) => it.p50Ms), 2),
    cell(middle((it) => it.p99Ms), 2),
    cell(more((it) => it.p50Ms), 2),
    cell(more((it) => it.p99Ms), 2),
  ];
}
