// The operator's log: one line for each notable event, as text for people or as
// JSON for programs. No line contains a message of a client, a key or a code,
// and no client can make the server write more than a few lines a second.
import { TokenBucket } from "./rate_limit.ts";

type Level = "info" | "warn" | "error";

/** Facts about an event besides its sentence. */
type Fields = Record<string, string | number | undefined>;

/** Lines that one kind of event may write at once, and then per second. */
const BURST = 20;
const LINES_PER_SECOND = 1;

export class Logger {
  /** By event; there is a fixed number of events, so this does not grow. */
  readonly #kinds = new Map<string, { bucket: TokenBucket; left: number }>();

  constructor(
    private readonly format: "text" | "json",
    private readonly write: (line: string) => void,
    private readonly now: () => number,
    private readonly monotonic: () => number = () => performance.now(),
  ) {}

  /**
   * Writes a line, or counts it if there were too many of this `event`; the
   * next line that is written says how many were left out.
   */
  log(level: Level, event: string, message: string, fields: Fields = {}): void {
    const nowMs = this.monotonic();
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
    this.write(this.line(level, event, message, all));
  }

  /** The line as it would be written. */
  line(level: Level, event: string, message: string, fields: Fields): string {
    const at = new Date(this.now()).toISOString();
    return visible(
      this.format === "json"
        ? JSON.stringify({ at, level, event, message, ...fields })
        : textLine(at, level, message, fields),
    );
  }

  /** Something that should not happen, with the place in the code. */
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

/** Quoted unless it reads as one word, so that no value can begin a line. */
function readable(value: string | number | undefined): string {
  const text = String(value);
  return /^[\w.:@/[\]-]+$/.test(text) ? text : JSON.stringify(text);
}

/**
 * Escapes, as JSON does, characters that a terminal would obey or not show:
 * control characters, marks that change the direction of text, other line ends.
 */
function visible(line: string): string {
  return line.replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (char) =>
      char.split("").map((unit) =>
        `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
      ).join(""),
  );
}
