// @ts-check
// Draws the QR code of an address. The library for it comes from the server
// when the first code is drawn; the address, which may contain the invitation
// code, is sent nowhere.

import { makeSvg } from "../shared/svg.js";

/** Light squares around a code; a reader does not find it without them. */
const BORDER = 4;

/**
 * Rejects if the library cannot be fetched, or if the address is too long.
 *
 * @param {string} address
 */
export async function drawQrCode(address) {
  const { encode } = await import("../lib/uqr.js");
  const { data, size } = encode(address, { ecc: "L", border: BORDER });
  const dark = data.flatMap((row, y) =>
    row.flatMap((isDark, x) => isDark ? [`M${x} ${y}h1v1h-1z`] : [])
  );
  return makeSvg(
    "svg",
    {
      viewBox: `0 0 ${size} ${size}`,
      role: "img",
      "aria-label": "QR code of this address",
      "shape-rendering": "crispEdges",
    },
    makeSvg("path", { d: dark.join("") }),
  );
}
