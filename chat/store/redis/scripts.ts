// What runs inside Redis, in Lua: a file of `scripts/` is one step that no other
// server's step can come between. `common.lua` stands before each of them, and
// before that the limits that are the same for every store.
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
  /** What `wipe` copies at most, give or take 16 entries, and how often. */
  WIPE_ENTRIES: 400,
  WIPE_BYTES: 256 * 1024,
  WIPE_EVERY_MS: 250,
  /** Of the data. A server that knows only a lower one must not touch them. */
  FORMAT: 2,
  /** Longer than what was sent over a lost connection can be on its way. */
  LATE_MS: 600_000,
  /** Processes of which it is known how far they came. */
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
  "nodes",
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

/** What all channels begin with: the databases of a Redis share them. */
export function channelPrefix(database: string): string {
  return `partyline:${database}:`;
}

/** The text of each script, whole. */
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
