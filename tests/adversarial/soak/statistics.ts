// The arithmetic of a soak: quantiles, when something has settled, what a scrape
// of metrics says. What is not known is undefined, not zero.

/** The value that the share `q` of all does not exceed (nearest rank). */
export function quantile(
  values: readonly number[],
  q: number,
): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * q) - 1)];
}

/** Tells when numbers have stopped to fall. */
export class Fall {
  #lowest: readonly number[] | undefined;
  #fellAtMs = 0;

  /** A change of at most `noise` is none. */
  constructor(private readonly noise: readonly number[]) {}

  /** Takes the numbers of now; returns for how many ms none has fallen. */
  restsMs(values: readonly number[], nowMs: number): number {
    const lowest = this.#lowest;
    const hasFallen = lowest === undefined ||
      values.some((value, i) =>
        value < (lowest[i] ?? 0) - (this.noise[i] ?? 0)
      );
    if (hasFallen) {
      this.#fellAtMs = nowMs;
      this.#lowest = lowest === undefined
        ? values
        : values.map((value, i) => Math.min(value, lowest[i] ?? value));
    }
    return nowMs - this.#fellAtMs;
  }
}

/** A scrape: samples by name and labels, and which of them are gauges. */
export interface Metrics {
  samples: Map<string, number>;
  gauges: Set<string>;
}

/** Reads Prometheus's text format, version 0.0.4; lines it cannot read are passed over. */
export function parseMetrics(text: string): Metrics {
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, typed, type] = /^# TYPE (\S+) (\w+)$/.exec(line) ?? [];
    if (typed !== undefined && type !== undefined) types.set(typed, type);
    const [, key, value] = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)/.exec(line) ??
      [];
    if (key !== undefined && line[0] !== "#") samples.set(key, Number(value));
  }
  const gauges = [...samples.keys()].filter((key) =>
    types.get(key.replace(/\{.*/, "")) === "gauge"
  );
  return { samples, gauges: new Set(gauges) };
}

/** Those that were let go because they read too slowly; undefined if unknown. */
export function evictionsOf({ samples }: Metrics): number | undefined {
  const found = [...samples].filter(([key]) => /evict|"1013"/.test(key));
  if (found.length === 0) return undefined;
  return found.reduce((sum, [, value]) => sum + value, 0);
}

/** Gauges of memory and time move by themselves; all others come back. */
const MOVES = /bytes|seconds|_ms|lag|cpu|memory|ratio|info/;

/** What a gauge does not say any more, though everything that came has gone. */
export function unbalanced(before: Metrics, after: Metrics): string[] {
  return [...before.gauges].filter((key) => !MOVES.test(key))
    .filter((key) => before.samples.get(key) !== after.samples.get(key))
    .map((key) =>
      `${key} was ${before.samples.get(key)}, is ${after.samples.get(key)}`
    );
}
