// Owns the operator's lines: one for each notable event, as text for people or
// as JSON for programs. Never writes what somebody said, a key or a code.
// Invariant: no client can make it write more than a few lines a second.
import { TokenBucket } from "./limits.ts";

export type Level = "info" | "warn" | "error";

/** What is known about an event beside its sentence. */
export type Fields = Record<string, string | number | undefined>;

/** Of one kind of event: lines at once, and then lines a second. */
const BURST = 20;
const LINES_PER_SECOND = 1;

export class Logger {
  /** By event; the events are a fixed few, so this does not grow. */
  readonly #kinds = new Map<string, { bucket: TokenBucket; left: number }>();

  constructor(
    private readonly format: "text" | "json",
    private readonly write: (line: string) => void,
    private readonly now: () => number,
  ) {}

  /**
   * Writes a line, or counts it if there were too many of this `event`; the
   * next that is written says how many were left out.
   */
  log(level: Level, event: string, message: string, fields: Fields = {}): void {
    const nowMs = this.now();
    let kind = this.#kinds.get(event);
    if (kind === undefined) {
      const bucket = new TokenBucket(LINES_PER_SECOND, BURST, nowMs);
      kind = { bucket, left: 0 };
      this.#kinds.set(event, kind);
    }
    if (kind.bucket.take(nowMs) > 0) {
      kind.left++;
      return;
    }
    const all = { ...fields, leftOut: kind.left || undefined };
    kind.left = 0;
    const at = new Date(nowMs).toISOString();
    this.write(
      this.format === "json"
        ? JSON.stringify({ at, level, event, message, ...all })
        : textLine(at, level, message, all),
    );
  }

  /** What should not have happened, with where it did. */
  fault(message: string, error: unknown): void {
    const where = error instanceof Error ? error.stack : String(error);
    this.log("error", "fault", message, { error: where });
  }
}

function textLine(
  at: string,
  level: Level,
  message: string,
  fields: Fields,
): string {
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${readable(value)}`);
  return `${at} ${level.padEnd(5)} ${message}${parts.join("")}`;
}

/** Quoted if it would not read as one word; nothing can begin a line. */
function readable(value: string | number | undefined): string {
  const text = String(value);
  return /^[\w.:@/[\]-]+$/.test(text) ? text : JSON.stringify(text);
}
