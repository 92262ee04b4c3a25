// What names.ts promises: friendly, two words, never one that is taken. Draws
// are passed in where one name must come out.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { makeName, nameProblem } from "../chat/names.ts";

const noNumber = () => {
  throw new Error("no number is needed");
};

Deno.test("a name is two lower-case words", () => {
  assertMatch(makeName(() => false, Math.random, noNumber), /^[a-z]+-[a-z]+$/);
});

Deno.test("a taken name is passed over", () => {
  const draws = [0, 0, 0.5, 0.5];
  const first = makeName(() => false, () => 0, noNumber);
  const second = makeName(
    (name) => name === first,
    () => draws.shift() ?? 0,
    noNumber,
  );
  assert(second !== first);
});

Deno.test("a number is added when every pair of words is taken", () => {
  const name = makeName(() => true, Math.random, () => 7);
  assertMatch(name, /^[a-z]+-[a-z]+-7$/);
});

Deno.test("the longest name has at most 24 characters", () => {
  const names = Array.from(
    { length: 20_000 },
    () => makeName(() => false, Math.random, noNumber),
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
    "Ωmega 7",
    "李雷",
    "हिन्दी",
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
  ]
) {
  Deno.test(`${JSON.stringify(name)} cannot be chosen as a name`, () => {
    assertMatch(nameProblem(name) ?? "", /^[A-Z].*\.$/);
  });
}
