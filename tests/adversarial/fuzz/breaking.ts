// Ways to break bytes, text and lists: flips, cuts, repeats, swaps, insertions.
// They return a copy, and the dice alone decide what it is.
import type { Dice } from "../../stress/dice.ts";

export function join(
  parts: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(
    parts.reduce((sum, part) => sum + part.length, 0),
  );
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const HOWS = { flip: 5, overwrite: 2, cut: 1, drop: 1, repeat: 1, insert: 1 };

/** One to three faults, wherever they hit. */
export function breakBytes(dice: Dice, bytes: Uint8Array): Uint8Array {
  let broken = bytes.slice();
  for (let left = dice.between(1, 3); left > 0; left--) {
    if (broken.length === 0) return broken;
    const at = dice.below(broken.length);
    const upTo = Math.min(broken.length, at + dice.between(1, 16));
    const [before, hit, after] = [
      broken.subarray(0, at),
      broken.subarray(at, upTo),
      broken.subarray(upTo),
    ];
    switch (dice.choose(HOWS)) {
      case "flip":
        broken[at] = (broken[at] ?? 0) ^ (1 << dice.below(8));
        break;
      case "overwrite":
        broken[at] = dice.pick([0, 127, 128, 255]) ?? dice.below(256);
        break;
      case "cut":
        broken = before.slice();
        break;
      case "drop":
        broken = join([before, after]);
        break;
      case "repeat":
        broken = join([before, hit, hit, after]);
        break;
      case "insert":
        broken = join([before, noise(dice), hit, after]);
    }
  }
  return broken;
}

function noise(dice: Dice): Uint8Array {
  return Uint8Array.from(
    { length: dice.between(1, 12) },
    () => dice.below(256),
  );
}

/** What matters to a reader of JSON or of HTTP. */
const SIGNS = [...'{}[]:,"\\0-.eE\0\n\r\t ;=%\u2028\ud800'];

export function breakText(dice: Dice, text: string): string {
  const at = dice.below(text.length + 1);
  const upTo = at + dice.between(1, 8);
  const [before, hit, after] = [
    text.slice(0, at),
    text.slice(at, upTo),
    text.slice(upTo),
  ];
  switch (dice.choose({ sign: 4, drop: 2, repeat: 2, many: 0.3 })) {
    case "sign":
      return `${before}${dice.pick(SIGNS)}${hit}${after}`;
    case "drop":
      return before + after;
    case "repeat":
      return before + hit + hit + after;
    case "many":
      return before + (dice.pick(SIGNS) ?? "").repeat(3_000) + hit + after;
  }
}

/** Each item may be broken, left out, repeated or change places. */
export function breakList<T>(
  dice: Dice,
  share: number,
  items: readonly T[],
  breakItem: (item: T) => T,
): T[] {
  const broken = items.flatMap((item) => {
    if (!dice.chance(share)) return [item];
    switch (dice.choose({ broken: 3, out: 1, twice: 1 })) {
      case "broken":
        return [breakItem(item)];
      case "out":
        return [];
      case "twice":
        return [item, item];
    }
  });
  if (!dice.chance(share) || broken.length < 2) return broken;
  const [a, b] = [dice.below(broken.length), dice.below(broken.length)];
  const [atA, atB] = [broken[a], broken[b]];
  return broken.with(a, atB as T).with(b, atA as T);
}
