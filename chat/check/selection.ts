// Which checks of a profile are asked for: `--only` and `--except` take ids, and the
// beginnings of ids. A word that is neither is answered with what was probably meant.
import { editDistance } from "../ops/edit_distance.ts";
import { type Check, type Profile, PROFILES } from "./check.ts";
import { checksOf } from "./profiles.ts";

/** What could not be understood or done; the message is for a person. */
export class CheckError extends Error {}

/** The checks that are asked for; all without ids in `only`. */
export function selected(
  all: readonly Check[],
  only: readonly string[],
  except: readonly string[],
): Check[] {
  return all.filter(({ id }) =>
    (only.length === 0 || only.includes(id)) && !except.includes(id)
  );
}

/** The ids that lists such as `handshake-,text-back` name; empty without lists. */
export function readIds(
  option: string,
  lists: readonly string[] = [],
  profile: Profile,
): string[] {
  if (lists.length === 0) return [];
  const names = lists.flatMap((list) => list.split(","))
    .map((name) => name.trim()).filter((name) => name !== "");
  if (names.length === 0) {
    throw new CheckError(`${option} takes ids such as ${idsOf(profile)[0]}.`);
  }
  return names.flatMap((name) => {
    const ids = named(name, profile);
    if (ids.length > 0) return ids;
    throw new CheckError(
      `${option} takes ids such as ${idsOf(profile)[0]}, not ${
        quoted(name)
      }. ` +
        hintFor(name, profile),
    );
  });
}

function idsOf(profile: Profile): string[] {
  return checksOf(profile).map(({ id }) => id);
}

/** The ids that this is, or that begin with it if it ends with a hyphen. */
function named(name: string, profile: Profile): string[] {
  return idsOf(profile).filter((id) =>
    name.endsWith("-") ? id.startsWith(name) : id === name
  );
}

function hintFor(name: string, profile: Profile): string {
  const other = PROFILES.find((it) => named(name, it).length > 0);
  if (other) return `${name} belongs to the profile ${other}.`;
  const near = nearest(name, idsOf(profile));
  return near === undefined ? "--list prints them." : `Did you mean ${near}?`;
}

/** Longer names are no slips, and cost more to compare. */
const MAX_SLIP_CHARS = 40;

/** The id of which at most a third differs, or that begins with this name. */
function nearest(name: string, ids: readonly string[]): string | undefined {
  if (name.length > MAX_SLIP_CHARS) return undefined;
  const [best] = ids.map((id) => ({ id, slips: editDistance(name, id) }))
    .filter(({ id, slips }) => slips <= id.length / 3)
    .sort((a, b) => a.slips - b.slips);
  return best?.id ?? ids.find((id) => id.startsWith(`${name}-`));
}

/** A word of a stranger in a sentence: quoted, and its beginning only. */
export function quoted(text: string | undefined): string {
  return JSON.stringify(text?.slice(0, 60));
}
