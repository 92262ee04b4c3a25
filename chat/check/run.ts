// Runs checks one after another against one server. Each has connections of its own,
// which are closed when it ends, and a limit for its time; so the same server gets
// the same verdict again, and a server that answers nothing is judged in time.
import { reasonOf } from "../ops/system_error.ts";
import {
  type Check,
  findingOf,
  printable,
  type Profile,
  type Result,
  type Status,
  type Target,
} from "./check.ts";
import {
  by,
  Connection,
  Connections,
  NoConnection,
  TooLate,
} from "./connection.ts";
import { checksOf } from "./profiles.ts";
import { selected } from "./selection.ts";

/** A check waits for several answers, but no longer than for this many. */
const WAITS_PER_CHECK = 3;

/**
 * How long a server may keep checks waiting that do not pass, as so many waits.
 * After that no check is begun. What passes may take its time: a right server that is
 * far away answers slowly.
 */
const WAITS_IN_VAIN = 10;

/** All checks together end then, whatever happens. */
export const WAITS_IN_ALL = 40;

/** A server that ends its connections late so often is not waited for again. */
const MAX_SLOW_ENDS = 3;

/** No check makes a right server send so much while time is short. */
const FLOOD_BYTES = 4 * 1024 * 1024;

export interface Verdict extends Record<Status, number> {
  url: string;
  profile: Profile;
  checks: Result[];
  /** Whether checks were skipped because the time for all of them was over. */
  ranOut: boolean;
}

export interface Judging {
  target: Omit<Target, "connections">;
  profile: Profile;
  /** The checks of the profile, unless others are named. */
  all?: readonly Check[];
  /** The ids of the checks to show; all if it is empty. What they need runs, too. */
  only: readonly string[];
  /** The ids of checks that are not shown; they run if others need them. */
  except?: readonly string[];
  /** Called after each check that is shown. */
  onResult?: (result: Result) => void;
  /** Called if this program has a fault; without it `judge` throws. */
  onFault?: (error: unknown, id: string) => void;
}

/** Judges a server. */
export async function judge(
  { target, profile, all = checksOf(profile), ...how }: Judging,
): Promise<Verdict> {
  const { only, except = [], onResult, onFault } = how;
  const asked = selected(all, only, except).map(({ id }) => id);
  const run = new Run(target, all, onFault);
  const checks: Result[] = [];
  for (const check of withNeeds(all, asked)) {
    const result = await run.result(check);
    const { id, status } = result;
    // Those that need a check that failed are skipped, so it must be seen; one that
    // was left out only if the server ended by it.
    const isCause = status === "failed" && (!except.includes(id) || run.isOver);
    if (!asked.includes(id) && !isCause) continue;
    checks.push(result);
    onResult?.(result);
  }
  const count = (status: Status) =>
    checks.filter((result) => result.status === status).length;
  return {
    url: target.url.href,
    profile,
    passed: count("passed"),
    failed: count("failed"),
    warned: count("warned"),
    skipped: count("skipped"),
    checks,
    ranOut: run.ranOut,
  };
}

/** These checks and all that they need, in the order of the profile. */
function withNeeds(all: readonly Check[], ids: readonly string[]): Check[] {
  const wanted = new Set(ids);
  // Needs come earlier in the list, so one way back finds them all.
  for (const { id, needs = [] } of all.toReversed()) {
    if (wanted.has(id)) { for (const need of needs) wanted.add(need); }
  }
  return all.filter(({ id }) => wanted.has(id));
}

/** Most checks need these; they are tried again after each check that failed. */
const VITAL = ["handshake-status", "text-back", "chat-to-everyone"];

type Finding = Pick<Result, "status" | "detail">;

const skipped = (detail: string): Finding => ({ status: "skipped", detail });

const HELP_AGAINST_DISTANCE =
  "A longer --wait, or a machine nearer to the server, helps.";

/** What was found of one server so far. */
class Run {
  readonly #endsMs: number;
  /** What each check was found to be, by its id. */
  readonly #findings = new Map<string, Finding>();
  /** How long the server kept checks waiting that did not pass, in ms. */
  #inVainMs = 0;
  #slowEnds = 0;
  /** Why nothing can be tried any more. */
  #over: string | undefined;
  /** Whether a check was skipped because the time for all of them was over. */
  ranOut = false;

  constructor(
    private readonly target: Judging["target"],
    private readonly all: readonly Check[],
    private readonly onFault: Judging["onFault"],
  ) {
    this.#endsMs = performance.now() + WAITS_IN_ALL * target.waitMs;
  }

  /** Whether the server does not accept connections any more. */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  async result(check: Check): Promise<Result> {
    const { id, title, source } = check;
    const whyNot = this.#whyNot(check);
    const found = whyNot === undefined
      ? await this.#tried(check)
      : skipped(whyNot);
    if (whyNot !== undefined) this.#findings.set(id, found);
    return { id, title, source, ...found };
  }

  #hasPassed(id: string): boolean {
    const status = this.#findings.get(id)?.status;
    return status === "passed" || status === "warned";
  }

  /** Why a check cannot be tried, or undefined. */
  #whyNot(check: Check): string | undefined {
    if (this.#over !== undefined) return this.#over;
    const missing = withNeeds(this.all, [check.id])
      .find((it) => it !== check && !this.#hasPassed(it.id));
    if (missing) {
      const found = this.#findings.get(missing.id);
      return found?.status === "skipped"
        ? found.detail
        : `It can only be tried when this holds: ${missing.title}.`;
    }
    if (performance.now() >= this.#endsMs) return this.#noTime();
    const vainMs = WAITS_IN_VAIN * this.target.waitMs;
    if (this.#inVainMs < vainMs) return undefined;
    return "No time was left: the server kept earlier checks waiting for " +
      `${vainMs / 1000} s. Mend those first.`;
  }

  #noTime(): string {
    this.ranOut = true;
    const seconds = WAITS_IN_ALL * this.target.waitMs / 1000;
    return `No time was left: all checks together end after ${seconds} s. ` +
      HELP_AGAINST_DISTANCE;
  }

  async #tried(check: Check): Promise<Finding> {
    const { id } = check;
    let found: Finding;
    try {
      found = await this.#try(check);
    } catch (error) {
      return this.#faulty(id, error);
    }
    this.#findings.set(id, found);
    if (!await this.#accepts()) return this.#ended(id, found);
    if (found.status === "failed") await this.#tryVitalAgain(check);
    return found;
  }

  /** A check has a fault of its own, which says nothing of the server. */
  #faulty(id: string, error: unknown): Finding {
    if (!this.onFault) throw error;
    this.onFault(error, id);
    const why = `a fault of its own: ${printable(reasonOf(error))}. ` +
      "Please report it.";
    this.#findings.set(id, skipped(`The check ${id} has ${why}`));
    return skipped(`This check has ${why}`);
  }

  /** The check after which the server was gone fails; what follows is skipped. */
  #ended(id: string, { status, detail }: Finding): Finding {
    const gone = "The server has ended, or accepts nobody any more, since";
    const look = "Look at its own output.";
    this.#over = `${gone} the check ${id}. ${look}`;
    const before = status === "passed" ? "" : `${detail} `;
    return { status: "failed", detail: `${before}${gone} this check. ${look}` };
  }

  /**
   * Whether the server still accepts connections. When its process ends, the
   * connections of the check end, too, and that may be just what the check wanted.
   */
  async #accepts(): Promise<boolean> {
    const startMs = performance.now();
    if (startMs >= this.#endsMs) return true;
    try {
      const untilMs = this.#soonest();
      using _one = await Connection.open(this.target.address, untilMs);
      return true;
    } catch (error) {
      if (error instanceof NoConnection) return false;
      if (!(error instanceof TooLate)) throw error;
      this.#inVainMs += performance.now() - startMs;
      return true;
    }
  }

  /** When a wait that begins now ends. */
  #soonest(waits = 1): number {
    const untilMs = performance.now() + waits * this.target.waitMs;
    return Math.min(untilMs, this.#endsMs);
  }

  /**
   * A server that serves nobody any more fails one check. Those that follow would
   * only say the same again, so they are skipped.
   */
  async #tryVitalAgain(failed: Check): Promise<void> {
    for (const check of withNeeds(this.all, [failed.id])) {
      const { id, title } = check;
      const isVital = VITAL.includes(id) && this.#hasPassed(id);
      if (!isVital || performance.now() >= this.#endsMs) continue;
      const status = await this.#statusNow(check);
      if (status === "passed" || this.ranOut) continue;
      const detail =
        `After the check ${failed.id} this did not hold any more, ` +
        `not even for a new client: ${title}. Look at the server's own output.`;
      this.#findings.set(id, skipped(detail));
    }
  }

  async #statusNow(check: Check): Promise<Status> {
    try {
      return (await this.#try(check)).status;
    } catch (error) {
      if (!this.onFault) throw error;
      this.onFault(error, check.id);
      return "passed";
    }
  }

  async #try(check: Check): Promise<Finding> {
    using connections = new Connections();
    const startMs = performance.now();
    const target = { ...this.target, connections };
    const run = async () =>
      await check.run(target, (id) => this.#hasPassed(id));
    const running = findingOf(run(), target.waitMs);
    let isSlow = false;
    let found: Finding | undefined;
    try {
      const untilMs = this.#soonest(WAITS_PER_CHECK);
      return found = await by(untilMs, running);
    } catch (error) {
      if (!(error instanceof TooLate)) throw error;
      found = this.#cutOff(connections);
      isSlow = found.status === "skipped";
      return found;
    } finally {
      await this.#finish(connections);
      connections[Symbol.dispose]();
      // What still waits ends with its connections.
      await running.catch(() => {});
      if (found?.status !== "passed" && !isSlow) {
        this.#inVainMs += performance.now() - startMs;
      }
    }
  }

  /** What is found of a check that took too long. */
  #cutOff({ wereLate, receivedBytes }: Connections): Finding {
    // A timer may fire a little early.
    const isOver = performance.now() >= this.#endsMs - 1;
    if (isOver) return skipped(this.#noTime());
    const seconds = WAITS_PER_CHECK * this.target.waitMs / 1000;
    if (!wereLate && receivedBytes < FLOOD_BYTES) {
      return skipped(
        `The server answered each time, but not so soon that ${seconds} s ` +
          `were enough to find this out. ${HELP_AGAINST_DISTANCE}`,
      );
    }
    const detail =
      "The server answered so slowly, or sent so much, that this " +
      `could not be found out within ${seconds} s.`;
    return { status: "failed", detail };
  }

  /** Gives the server time to end its connections, too, and forget them. */
  async #finish(connections: Connections): Promise<void> {
    if (this.#slowEnds >= MAX_SLOW_ENDS) return;
    if (!await connections.finish(this.#soonest())) this.#slowEnds++;
  }
}
