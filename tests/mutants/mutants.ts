// Runs every mutant of a profile against all its checks, and holds which do not pass.
import { assertEquals } from "@std/assert";
import type { Profile } from "../../chat/check/check.ts";
import { checksOf } from "../../chat/check/profiles.ts";
import { judge, type Verdict } from "../../chat/check/run.ts";
import {
  type App,
  type Faults,
  type Has,
  type Mutant,
  startMutant,
} from "./mutant.ts";

/** The longest wait of a check, in ms; only a fault takes it, or a busy machine. */
const WAIT_MS = 3_000;

/** Mutants that are judged at once: they wait more than they work. */
const AT_ONCE = 8;

export function judgeMutant(
  { port, url }: Pick<Mutant, "port" | "url">,
  profile: Profile,
  only: readonly string[] = [],
  names = { sender: "sender", message: "message" },
): Promise<Verdict> {
  const address = { hostname: "127.0.0.1", port, isTls: false };
  const target = { url, address, waitMs: WAIT_MS, ...names };
  return judge({ target, profile, only });
}

/** The checks of a profile that no other one has. */
export function ownChecks(profile: Profile): string[] {
  const others = profile === "rfc6455" ? [] : checksOf("rfc6455");
  return checksOf(profile).filter((check) => !others.includes(check))
    .map(({ id }) => id);
}

/** Judges each mutant by the checks of this profile that are its own. */
export function testMutants(
  profile: Profile,
  newApp: (has: Has) => App,
  faults: Faults,
): void {
  const own = ownChecks(profile);

  Deno.test(`a server without a fault passes every check of ${profile}`, async () => {
    await using right = startMutant("", newApp);
    const { checks } = await judgeMutant(right, profile, own);
    assertEquals(checks.filter(({ status }) => status !== "passed"), []);
  });

  Deno.test(`each fault makes the checks of ${profile} fail that are for it, and no others`, async () => {
    const waiting = Object.entries(faults);
    const found: Faults = {};
    const work = async () => {
      for (let next; (next = waiting.shift());) {
        const [fault] = next;
        await using mutant = startMutant(fault, newApp);
        const { checks } = await judgeMutant(mutant, profile, own);
        found[fault] = checks.flatMap(({ id, status }) =>
          status === "failed" ? [id] : status === "warned" ? [`${id}?`] : []
        );
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    assertEquals(found, faults);
  });

  Deno.test(`each check of ${profile} has a fault that it finds`, () => {
    const found = Object.values(faults).flat().map((id) => id.replace("?", ""));
    const unfailing = UNFAILING.filter((id) => own.includes(id));
    assertEquals(own.filter((id) => !found.includes(id)), unfailing);
  });
}

/** A check that never fails: it only says what can be seen. */
const UNFAILING = ["text-back"];
