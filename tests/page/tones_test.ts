import { assert, assertEquals } from "@std/assert";
import { Tones } from "../../static/chat/tones.js";

Deno.test("a name has the same colour on every screen, whoever spoke before", () => {
  const names = Array.from({ length: 50 }, (_, i) => `student ${i}`);
  for (const name of names) {
    assertEquals(new Tones().of(name), new Tones().of(name));
  }
  const tones = new Set(names.map((name) => new Tones().of(name)));
  assert(tones.size > 8, `${tones.size} colours`);
});

Deno.test("of five who speak one after the other no two look alike", () => {
  for (let i = 0; i < 500; i++) {
    const tones = new Tones();
    const names = Array.from({ length: 5 }, (_, n) => `${i} ${n}`);
    const seen = names.map((name) => tones.of(name));
    assertEquals(new Set(seen).size, 5, seen.join(" "));
    assertEquals(names.map((name) => tones.of(name)), seen);
  }
});

Deno.test("a person with a new name keeps the colour", () => {
  const tones = new Tones();
  const tone = tones.of("Ada");
  for (const name of ["Bob", "Cleo"]) tones.of(name);
  tones.rename("Ada", "Countess");
  assertEquals(tones.of("Countess"), tone);
});

Deno.test("two people who had the same name have different colours", () => {
  const tones = new Tones();
  const first = tones.of("Ada", "author 1");
  assert(!tones.isNamesake("Ada", "author 1"));
  const second = tones.of("Ada", "author 2");
  assert(second !== first);
  assert(tones.isNamesake("Ada", "author 2"));
  assert(!tones.isNamesake("Ada", null));
  for (const name of ["Bob", "Cleo", "Dan", "Eve", "Fay"]) tones.of(name, name);
  assertEquals(tones.of("Countess", "author 1"), first);
  assertEquals(tones.of("Ada", "author 2"), second);
});
