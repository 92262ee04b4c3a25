// The Lua that runs inside Redis: each file of `scripts/` is one step, which no
// other server's step can interrupt. Before each stand the limits that are the
// same for every store, and `common.lua`.
import {
  FORGET_AFTER_MS,
  MAX_DELETIONS,
  MAX_ROOMS_KEPT,
  MOMENT_MS,
  REMEMBERED_IDS,
} from "../store.ts";

const LIMITS = {
  FORGET_AFTER_MS,
  MAX_DELETIONS,
  MAX_ROOMS_KEPT,
  MOMENT_MS,
  REMEMBERED_IDS,
  /** How much `wipe` copies at most, give or take 16 entries, and how often. */
  WIPE_ENTRIES: 400,
  WIPE_BYTES: 256 * 1024,
  WIPE_EVERY_MS: 250,
  /** The data's format. A server that knows only a lower one must leave it. */
  FORMAT: 2,
  /** Longer than a command sent over a lost connection can be on its way. */
  LATE_MS: 600_000,
  /** Redis processes whose last clock is remembered. */
  MAX_ENDS: 1_000,
};

const NAMES = [
  "acquire",
  "after",
  "beat",
  "before",
  "begin",
  "claim",
  "delete",
  "deletions",
  "draw",
  "event",
  "forget_identities",
  "forget_rooms",
  "forgettable",
  "head",
  "identity",
  "names",
  "nodes",
  "note_looks",
  "reap",
  "register",
  "release",
  "rename",
  "rooms",
  "sizes",
  "superseded",
  "sync",
  "tell",
  "touch",
  "turn",
  "unclaim",
  "use_rooms",
  "where",
  "wipe",
] as const;

export type ScriptName = typeof NAMES[number];

/** All channel names begin so: the databases of a Redis share channels. */
export function channelPrefix(database: string): string {
  return `partyline:${database}:`;
}

/** The whole text of each script. */
export function scriptsFor(database: string): Record<ScriptName, string> {
  const limits = Object.entries(LIMITS)
    .map(([name, value]) => `local ${name} = ${value}`);
  const head = [
    `local C = '${channelPrefix(database)}'`,
    ...limits,
    read("common"),
  ].join("\n");
  const whole = NAMES.map((name) => [name, `${head}\n${read(name)}`]);
  return Object.fromEntries(whole);
}

function read(name: string): string {
  const file = new URL(`scripts/${name}.lua`, import.meta.url);
  return Deno.readTextFileSync(file);
}
