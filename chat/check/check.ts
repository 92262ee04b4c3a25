// What a check is, and how it tells what it found. A check opens connections of its
// own to the server that is judged, and ends in one of four ways: it returns (the
// rule holds), or throws `Failure`, `Warning` or `Skip`.
import {
  type Address,
  type Connections,
  Ended,
  NoConnection,
  Nonsense,
  TooLate,
} from "./connection.ts";

export const PROFILES = ["rfc6455", "chat", "partyline.v1"] as const;

export type Profile = typeof PROFILES[number];

export type Status = "passed" | "failed" | "warned" | "skipped";

export interface Check {
  /** Lower case with hyphens; stays the same from version to version. */
  id: string;
  /** What holds if the check passes, as a sentence. */
  title: string;
  /** A section of an RFC, or the sentence of the assignment. */
  source: string;
  /** Checks that must have passed before; else this one is skipped. */
  needs?: readonly string[];
  /** `hasPassed` tells of a check that came before. */
  run(target: Target, hasPassed: (id: string) => boolean): Promise<void>;
}

/** What was judged and how that ended. */
export interface Result extends Pick<Check, "id" | "title" | "source"> {
  status: Status;
  /** What was wrong and what would be right; "" if the check passed. */
  detail: string;
}

/** The server that is judged. */
export interface Target {
  url: URL;
  address: Address;
  /** The longest wait for one answer, in ms. */
  waitMs: number;
  /** The fields of a chat message. */
  sender: string;
  message: string;
  /** Opens connections that are closed when the check ends, however it ends. */
  connections: Connections;
}

/** The rule does not hold. The text says what came, and what would be right. */
export class Failure extends Error {}

/** The rule holds, but the server does not do what it should. */
export class Warning extends Error {}

/** Nothing can be said of the rule, because of the reason given. */
export class Skip extends Error {}

/** What a check finds. Throws what is a fault of this program. */
export async function findingOf(
  running: Promise<void>,
  waitMs: number,
): Promise<Pick<Result, "status" | "detail">> {
  try {
    await running;
    return { status: "passed", detail: "" };
  } catch (error) {
    const { status, detail } = classify(error, waitMs);
    return { status, detail: printable(detail) };
  }
}

function classify(
  error: unknown,
  waitMs: number,
): Pick<Result, "status" | "detail"> {
  const failed = (detail: string) => ({ status: "failed" as const, detail });
  if (!(error instanceof Error)) throw error;
  const { message } = error;
  if (error instanceof Failure) return failed(message);
  if (error instanceof Warning) return { status: "warned", detail: message };
  if (error instanceof Skip) return { status: "skipped", detail: message };
  if (error instanceof TooLate) {
    return failed(`The server did not answer within ${waitMs / 1000} s.`);
  }
  if (error instanceof Ended) {
    return failed(`The server closed the connection too early (${message}).`);
  }
  if (error instanceof Nonsense) return failed(`The server sent ${message}.`);
  if (error instanceof NoConnection) {
    return failed(`No connection could be opened: ${message}.`);
  }
  throw error;
}

/** The longest detail, in UTF-16 units: a server may send much. */
const MAX_DETAIL_UNITS = 600;

/** A text that no terminal obeys, though parts of it came from a stranger. */
export function printable(text: string): string {
  const start = text.slice(0, MAX_DETAIL_UNITS);
  return (start === text ? text : `${start}…`).toWellFormed().replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`,
  );
}
