// What `partyline check` finds in a server, held against what is known of it.
import { assertEquals } from "@std/assert";
import type { Profile, Result } from "../../chat/check/check.ts";
import { judge } from "../../chat/check/run.ts";

/** The checks that are not passed, each with its status. */
export type Findings = Record<string, "failed" | "warned" | "skipped">;

/** The longest wait of a check, as `partyline check` waits by default. */
const WAIT_MS = 3_000;

export interface Judged {
  port: number;
  path: string;
  profile: Profile;
  known: Findings;
  /** The ids of the checks to run; all if it is empty. */
  only?: readonly string[];
  /** Said of the server where the findings are others. */
  about?: string;
}

/** Judges a server of this machine and asserts what is found. */
export async function assertFindings(
  { port, path, profile, known, only = [], about = "" }: Judged,
): Promise<void> {
  const url = new URL(`ws://127.0.0.1:${port}${path}`);
  const address = { hostname: "127.0.0.1", port, isTls: false };
  const names = { sender: "sender", message: "message" };
  const target = { url, address, waitMs: WAIT_MS, ...names };
  const { checks } = await judge({ target, profile, only });
  const details = checks
    .filter(({ id, status }) => status !== (known[id] ?? "passed"))
    .map(({ id, status, detail }) => `${id} ${status}: ${detail}`);
  assertEquals(
    findingsOf(checks),
    known,
    [about, ...details].join("\n"),
  );
}

export function findingsOf(
  checks: readonly Pick<Result, "id" | "status">[],
): Findings {
  return Object.fromEntries(
    checks.flatMap(({ id, status }) =>
      status === "passed" ? [] : [[id, status]]
    ),
  );
}
