// What clients say: texts of every script and length, and JSON values of every
// kind, as the dice decide.
import type { Dice } from "../../stress/dice.ts";

const PIECES = [
  ...["a", "Hello", " ", "  ", "\n", "\0", "\x7f", '"', "\\", "<b>", "{}", "é"],
  ...["κόσμε", "水", "🦦", "👩‍👩‍👧", "\u202e", "\u200b", "\ufeff", "\ud800", "ﬀ"],
  ...["\u0301", "server", "null", "__proto__", "lobby", "%00", "../", "0"],
];

export function makeText(dice: Dice): string {
  const count = dice.choose({ 0: 1, 1: 4, 3: 4, 20: 2, 400: 0.1, 9000: 0.02 });
  return Array.from(
    { length: dice.below(Number(count) + 1) },
    () => dice.pick(PIECES) ?? "",
  ).join("");
}

export function makeValue(dice: Dice, depth = 0): unknown {
  const kinds = {
    text: 3,
    number: 3,
    plain: 3,
    array: 1,
    object: 1,
    deep: 0.1,
  };
  switch (depth > 3 ? "plain" : dice.choose(kinds)) {
    case "text":
      return makeText(dice);
    case "number":
      return dice.pick([0, -0, -1, 1.5, 1e308, 2 ** 53, 2 ** 31, 201, 65]);
    case "plain":
      return dice.pick([null, true, false]);
    case "array":
      return [makeValue(dice, depth + 1), makeValue(dice, depth + 1)];
    case "object":
      return { [makeText(dice)]: makeValue(dice, depth + 1) };
    case "deep":
      return Array.from({ length: dice.below(2_000) })
        .reduce<unknown>((inner) => [inner], 0);
  }
}
