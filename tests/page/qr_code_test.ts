// The page's QR code against another implementation, square by square.
import { assert, assertEquals } from "@std/assert";
import { encode } from "uqr";
import { qrCode } from "../../static/chat/qr_code.js";

/** As text, so that a difference can be seen. */
const drawn = (squares: readonly (readonly boolean[])[]) =>
  squares.map((row) => row.map((isDark) => isDark ? "██" : "  ").join(""));

Deno.test("texts of all lengths have the code that another implementation makes", () => {
  const address = "http://192.168.1.20:8000/?room=physics-2#invite=Ä%20b&";
  const versions = new Set<number>();
  for (let length = 1; length <= 230; length++) {
    const text = address.repeat(6).slice(0, length);
    const bytes = new TextEncoder().encode(text);
    if (bytes.length > 230) continue;
    const { data, version } = encode([...bytes], {
      ecc: "L",
      boostEcc: false,
      maskPattern: 0,
      border: 0,
    });
    versions.add(version);
    assertEquals(drawn(qrCode(text) ?? []), drawn(data), text);
  }
  assertEquals([...versions], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

Deno.test("of a text that is too long there is no code", () => {
  assert(qrCode("a".repeat(230)) !== null);
  assertEquals(qrCode("a".repeat(231)), null);
  assertEquals(qrCode("ä".repeat(116)), null);
});
