// Names that look alike, by Unicode UTS #39: which letters may stand together in a
// name, and the skeleton of a name, which is the same for names that look the same.
// All of it costs in proportion to the length of the name, which the caller limits.
import { PROTOTYPES } from "./confusables.ts";

/**
 * Scripts in which people write today: UAX #31, tables 5 and 7. Names in those of the
 * past only, such as runes, would be taken for something else.
 */
const LIVING = `
  Adlam Arabic Armenian Balinese Bamum Batak Bengali Bopomofo Canadian_Aboriginal
  Chakma Cham Cherokee Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi
  Han Hangul Hanifi_Rohingya Hebrew Hiragana Javanese Kannada Katakana Kayah_Li Khmer
  Lao Latin Lepcha Limbu Lisu Malayalam Mandaic Meetei_Mayek Miao Myanmar New_Tai_Lue
  Newa Nko Nyiakeng_Puachue_Hmong Ol_Chiki Oriya Osage Saurashtra Sinhala Sundanese
  Syloti_Nagri Syriac Tai_Le Tai_Tham Tai_Viet Tamil Telugu Thaana Thai Tibetan
  Tifinagh Vai Wancho Yi
`.trim().split(/\s+/);

/** Scripts that stand together: Japanese, Chinese and Korean, and Latin beside them. */
const TOGETHER = [
  ["Latin", "Han", "Hiragana", "Katakana"],
  ["Latin", "Han", "Bopomofo"],
  ["Latin", "Han", "Hangul"],
];

/** Each takes a name as a whole. Common are digits, Inherited most marks. */
const PERMITTED = [...LIVING.map((script) => [script]), ...TOGETHER]
  .map((scripts) => ["Common", "Inherited", ...scripts])
  .map((scripts) => scripts.map((script) => `\\p{Script_Extensions=${script}}`))
  .map((classes) => new RegExp(`^[${classes.join("")}]*$`, "u"));

const BY_SCRIPT = LIVING.map((script) => ({
  name: script.replaceAll("_", " "),
  chars: new RegExp(`^\\p{Script_Extensions=${script}}$`, "u"),
}));

const scriptOf = (char: string): string | undefined =>
  BY_SCRIPT.find(({ chars }) => chars.test(char))?.name;

/**
 * Says in a sentence which letter of a name is not in the script of the others;
 * undefined if the scripts are those of one way to write (Highly Restrictive).
 */
export function scriptProblem(name: string): string | undefined {
  if (PERMITTED.some((scripts) => scripts.test(name))) return undefined;
  const chars = [...name];
  const misfits = PERMITTED
    .map((scripts) => chars.filter((char) => !scripts.test(char)))
    .reduce((best, some) => some.length < best.length ? some : best);
  const [misfit = ""] = misfits;
  const script = scriptOf(misfit);
  if (script === undefined) {
    return `A name cannot have "${misfit}": nobody writes its script today.`;
  }
  const other = chars.find((char) => !misfits.includes(char) && scriptOf(char));
  return `Write the name in one alphabet: "${misfit}" is ${script}, ` +
    `"${other}" is ${scriptOf(other ?? "")}.`;
}

/** Most names consist of these characters, none of which is taken apart. */
const SIMPLE = /^[\w -]*$/;

/** Where all letters are written from right to left, also those to come. */
const RIGHT_TO_LEFT =
  /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/**
 * The same for names that look the same: the skeleton of UTS #39. Case counts as
 * little as it does in names, except that L stays, for I looks like l: Ian
 * looks like lan, but not like Lan.
 */
export function lookOf(name: string): string {
  if (SIMPLE.test(name)) return foldLook(name.replace(/[01I]/g, prototypeOf));
  const text = name.normalize("NFKC");
  const shown = RIGHT_TO_LEFT.test(text) ? withDigitsAside(text) : text;
  const skeleton = shown.normalize("NFKD").replace(/./gsu, prototypeOf);
  return foldLook(skeleton.normalize("NFD"));
}

function prototypeOf(char: string): string {
  return PROTOTYPES.get(char) ?? char;
}

/** The prototype of m is rn, and M has none. Here all of them are m. */
function foldLook(skeleton: string): string {
  const folded = skeleton.includes("L")
    ? skeleton.replace(/[^L]+/g, (part) => part.toLowerCase())
    : skeleton.toLowerCase();
  return folded.replaceAll("rn", "m");
}

/**
 * Beside letters that are written from right to left, digits are shown before or after
 * them whichever of both was typed first. So their place does not count.
 */
function withDigitsAside(text: string): string {
  const parts = text.split(/(\p{Nd}+)/u).map((part) =>
    part.replace(/^[ _-]+/, "").replace(/[ _-]+$/, "")
  );
  return parts.filter((part) => part !== "").sort().join(" ");
}
