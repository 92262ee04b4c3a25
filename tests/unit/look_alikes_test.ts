// Which names look the same (UTS #39), as examples, as rules that hold for any names,
// and against the table of ICU, where this machine has it.
import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import {
  PROTOTYPES,
  UNICODE_VERSION,
} from "../../chat/protocol/confusables.ts";
import { lookOf, scriptProblem } from "../../chat/protocol/look_alikes.ts";
import {
  makeName,
  makeNumberedName,
  nameProblem,
} from "../../chat/protocol/names.ts";
import { readIcu } from "../support/confusables.ts";
import { newSeed } from "../support/seed.ts";

// The second of each is in another script, or has other signs of the same.
for (
  const [name, other] of [
    ["coco", "сосо"],
    ["coco", "СОСО"],
    ["Tom", "ТОМ"],
    ["mama", "МАМА"],
    ["Alan", "AIan"],
    ["Bernd", "Bemd"],
    ["student 10", "student IO"],
    ["otter-10", "otter-lo"],
    ["二", "ニ"],
    ["Ａｄａ", "ada"],
    ["\u05d0 1", "1 \u05d0"],
    ["\u05d0-12", "12-\u05d0"],
    ["طالب 12", "12 طالب"],
  ] as const
) {
  Deno.test(`${name} looks like ${other}`, () => {
    assertEquals(lookOf(name), lookOf(other));
  });
}

for (
  const [name, other] of [
    ["Ian", "Lan"],
    ["Ada", "Adа Л"],
    ["José", "Jose"],
    ["Иван", "Ivan"],
    ["student 1", "student 2"],
    ["12 ab", "ab 12"],
    ["محمد علي", "علي محمد"],
    ["\u05d0 12", "\u05d0 21"],
  ] as const
) {
  Deno.test(`${name} does not look like ${other}`, () => {
    assert(lookOf(name) !== lookOf(other));
  });
}

const seed = newSeed();
const classes = [...Map.groupBy(PROTOTYPES, ([, prototype]) => prototype)]
  .map(([prototype, alike]) => [prototype, ...alike.map(([char]) => char)]);

Deno.test("in any name each sign may be one that looks the same: so looks the name", () => {
  // Not beside letters from right to left, where the place of digits does not count.
  const isLeftToRight = (char: string) =>
    !/[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u
      .test(char);
  const plain = classes.map((all) => all.filter(isLeftToRight))
    .filter((all) => all.length > 1);
  assert(plain.length > 500);
  const pair = fc.constantFrom(...plain)
    .chain((all) => fc.tuple(fc.constantFrom(...all), fc.constantFrom(...all)));
  fc.assert(
    fc.property(fc.array(pair, { minLength: 1, maxLength: 12 }), (pairs) => {
      const [a = "", b = ""] = [0, 1].map((i) =>
        pairs.map((pair) => pair[i]).join("x")
      );
      assertEquals(lookOf(a), lookOf(b));
    }),
    { seed, numRuns: 2_000 },
  );
});

Deno.test("no text is too odd to have a look, and none has a long one", () => {
  const text = fc.string({ unit: "binary", maxLength: 24 });
  fc.assert(
    fc.property(text, (name) => {
      // NFKC makes at most 18 of one, and no prototype is longer than that.
      assert(lookOf(name).length <= 18 * 18 * 24);
      nameProblem(name);
    }),
    { seed, numRuns: 500 },
  );
});

Deno.test("a name that can be chosen has letters of one way to write", () => {
  const letters = {
    Latin: "abcxyzILO",
    Cyrillic: "авсхуж",
    Greek: "αβγνορ",
    Hebrew: "אבגדו",
    Han: "山田二口",
    Hiragana: "さくら",
    Katakana: "カタニロ",
    Hangul: "김철수",
    Bopomofo: "ㄅㄆㄇ",
  };
  const together = [
    ["Latin", "Han", "Hiragana", "Katakana"],
    ["Latin", "Han", "Bopomofo"],
    ["Latin", "Han", "Hangul"],
  ];
  const pick = fc.constantFrom(...Object.entries(letters))
    .chain(([script, all]) =>
      fc.tuple(fc.constant(script), fc.constantFrom(...all))
    );
  fc.assert(
    fc.property(fc.array(pick, { minLength: 1, maxLength: 6 }), (picked) => {
      const scripts = new Set(picked.map(([script]) => script));
      const name = picked.map(([, letter]) => letter).join("");
      const may = scripts.size === 1 ||
        together.some((all) => [...scripts].every((one) => all.includes(one)));
      assertEquals(scriptProblem(name) === undefined, may, name);
    }),
    { seed, numRuns: 2_000 },
  );
});

Deno.test("names made here look different from each other, and can be chosen", () => {
  const names = new Set<string>();
  for (let i = 0; i < 20_000; i++) {
    const name = i % 2 === 0
      ? makeName(() => false, Math.random)
      : makeNumberedName(i, Math.random);
    assert(name !== undefined);
    assertEquals(nameProblem(name), undefined, name);
    names.add(name);
  }
  assertEquals(new Set([...names].map(lookOf)).size, names.size);
});

Deno.test("of the letters that most names consist of, those below look like others", () => {
  // For these alone lookOf() does not ask the table.
  const ascii = [...PROTOTYPES.keys()].filter((char) => /[\w -]/.test(char));
  assertEquals(ascii.sort(), ["0", "1", "I", "m"]);
});

const icu = readIcu();
const isMissing = icu === undefined;
const isOther = icu !== undefined && icu.unicode !== UNICODE_VERSION;
const reason = isMissing
  ? "there is no ICU"
  : `ICU has Unicode ${icu.unicode}: deno task confusables`;

Deno.test({
  name: "the table is what ICU has, and what the task writes" +
    (isMissing || isOther ? ` (skipped: ${reason})` : ""),
  ignore: isOther || isMissing && Deno.env.get("CI") === undefined,
  fn: () => {
    const file = new URL("../../chat/protocol/confusables.ts", import.meta.url);
    assertEquals(Deno.readTextFileSync(file), icu?.text, reason);
  },
});
