// What names.ts promises: friendly, two words, never one that is taken. Draws
// are passed in where one name must come out.
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  makeName,
  makeNumberedName,
  nameProblem,
} from "../../chat/protocol/names.ts";

Deno.test("a name is two lower-case words", () => {
  assertMatch(makeName(() => false, Math.random) ?? "", /^[a-z]+-[a-z]+$/);
});

Deno.test("a taken name is passed over", () => {
  const draws = [0, 0, 0.5, 0.5];
  const first = makeName(() => false, () => 0);
  const second = makeName((name) => name === first, () => draws.shift() ?? 0);
  assert(second !== undefined && second !== first);
});

Deno.test("the search ends when every pair of words is taken", () => {
  assertEquals(makeName(() => true, Math.random), undefined);
  assertMatch(makeNumberedName(7, Math.random), /^[a-z]+-7$/);
});

Deno.test("the longest name has at most 24 characters", () => {
  const names = Array.from(
    { length: 20_000 },
    (_, i) =>
      i % 2
        ? makeName(() => false, Math.random) ?? ""
        : makeNumberedName(2e9 + i, Math.random),
  );
  const longest = Math.max(...names.map((name) => name.length));
  assert(longest <= 24, `${longest} characters`);
  assertEquals(names.filter((name) => name === "server"), []);
});

for (
  const name of [
    "Ada",
    "Ada L",
    "a-b_c",
    "Ωμέγα 7",
    "Ада Лавлейс",
    "שרה 2",
    "محمد علي",
    "山田タロウ Ken",
    "김철수 Kim",
    "Ada 李雷",
    "李雷",
    "हिन्दी",
    "calm-otter",
    "Calm-Otter",
    "otter-10",
    "x".repeat(24),
  ]
) {
  Deno.test(`"${name}" can be chosen as a name`, () => {
    assertEquals(nameProblem(name), undefined);
  });
}

for (
  const name of [
    "",
    " ",
    " Ada",
    "Ada ",
    "Ada  L",
    "<b>",
    "a\nb",
    "a\u200bb",
    "\u3164",
    "🦦",
    "x".repeat(25),
    "\u0301",
    "server",
    "SERVER",
    "ｓerver",
    "\u0410da",
    "Ad\u0430",
    "\u039dina",
    "Ada \u0421opa",
    "\u0420\u03bf\u043c\u0430",
    "a\u0336\u0337\u0338\u0335",
    "Ада Lovelace",
    "Ada \u0661",
    "Ada さくら Ἀδα",
    "\u16a0\u16a2",
  ]
) {
  Deno.test(`${JSON.stringify(name)} cannot be chosen as a name`, () => {
    assertMatch(nameProblem(name) ?? "", /^[A-Z].*\.$/);
  });
}

for (
  const [name, misfit, other] of [
    ["\u0410da", '"\u0410" is Cyrillic', '"d" is Latin'],
    ["\u0405erver", '"\u0405" is Cyrillic', '"e" is Latin'],
    ["N\u03bfra 2", '"\u03bf" is Greek', '"N" is Latin'],
    ["Ada Лавлейс", '"A" is Latin', '"Л" is Cyrillic'],
    ["2 \u0430a\u0430", '"a" is Latin', '"\u0430" is Cyrillic'],
    ["Ada さくら Ἀδ", '"Ἀ" is Greek', '"A" is Latin'],
    ["李さくらㄅ", '"ㄅ" is Bopomofo', '"李" is Han'],
    ["Ada \u0661", '"\u0661" is Arabic', '"A" is Latin'],
  ] as const
) {
  Deno.test(`${name}, in which two scripts are mixed, is told which letter does not fit`, () => {
    assertEquals(
      nameProblem(name),
      `Write the name in one alphabet: ${misfit}, ${other}.`,
    );
  });
}

Deno.test("a name with a letter that nobody writes today is told which it is", () => {
  for (const name of ["\u16a0\u16a2", "Ada \u16a0"]) {
    assertEquals(
      nameProblem(name),
      'A name cannot have "\u16a0": nobody writes its script today.',
    );
  }
});

// The last one is Cyrillic as a whole.
for (const name of ["server", "SERVER", "ｓerver", "ѕегѵег"]) {
  Deno.test(`${name} is told to be reserved, not to be taken by somebody`, () => {
    assertMatch(nameProblem(name) ?? "", /reserved for the server.*another/);
  });
}

Deno.test("what looks like a name made here is refused, the name itself is not", () => {
  for (const name of ["caIm-otter", "otter-lO", "calrn-otter"]) {
    const problem = nameProblem(name) ?? "";
    assertMatch(problem, /looks like "(calm-otter|otter-10)"/);
  }
});

Deno.test("a very long name is refused without being looked at", () => {
  const name = `a${"\u0301".repeat(16_000)}${"\u0316".repeat(16_000)}`;
  const normalise = String.prototype.normalize;
  let hasNormalised = false;
  String.prototype.normalize = function (form?: string) {
    hasNormalised = true;
    return normalise.call(this, form);
  };
  try {
    assertMatch(nameProblem(name) ?? "", /at most 24/);
  } finally {
    String.prototype.normalize = normalise;
  }
  assertEquals(hasNormalised, false);
});
