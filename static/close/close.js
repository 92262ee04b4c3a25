// @ts-check
// Adds two things to the page about closes: the last frames of this tab's
// connections, each in the section of its close code, and this server's address
// in the commands to run. The frames are shown as text.

import { basePath, socketUrl } from "../shared/address.js";
import { utf8Bytes } from "../shared/framing.js";
import { tabMemory } from "../shared/storage.js";
import { make } from "../shared/make.js";
import { countBytes, formatTime } from "../shared/units.js";

/** @import { KeptFrame } from "../shared/storage.js" */

const DEFAULT_SOCKET = "ws://localhost:8000/ws";
const home = new URL("..", document.baseURI).href;

showOwnAddress();
const { lastFrames } = tabMemory(basePath(home));
for (const code of new Set(lastFrames.map(({ code }) => code))) {
  showFrames(code, lastFrames.filter((frame) => frame.code === code));
}
const wanted = location.hash.slice(1);
if (wanted !== "" && document.getElementById(wanted) === null) {
  document.getElementById("other")?.scrollIntoView();
}

function showOwnAddress() {
  const folders = [DEFAULT_SOCKET, DEFAULT_SOCKET.replace("ws", "http")]
    .map((address) => new URL(".", address).href);
  const socket = new URL(".", socketUrl(home, "lobby")).href;
  for (const code of document.querySelectorAll("pre code")) {
    const [ws = "", http = ""] = folders;
    const text = code.textContent ?? "";
    code.textContent = text.replaceAll(ws, socket).replaceAll(http, home);
  }
}

/**
 * @param {number} code
 * @param {KeptFrame[]} frames of one connection, the oldest first
 */
function showFrames(code, frames) {
  const section = document.getElementById(String(code)) ??
    document.getElementById("other");
  // Between the rule and the advice.
  section?.querySelector("p")?.after(
    make(
      "table",
      { className: "steps" },
      make(
        "caption",
        {},
        `The last frames of your own connection, which ended with ${code}`,
      ),
      make(
        "thead",
        {},
        make("tr", {}, ...["Sent", "Frame"].map(headCell)),
      ),
      make("tbody", {}, ...frames.map(rowOf)),
    ),
  );
}

/** @param {string} words */
function headCell(words) {
  return make("th", { scope: "col" }, words);
}

/** @param {KeptFrame} frame */
function rowOf({ at, direction, kind, length, start }) {
  return make(
    "tr",
    {},
    make(
      "td",
      {},
      make("time", {}, formatTime(at)),
      make("br"),
      direction === "in" ? "by you" : "by the server",
    ),
    make(
      "td",
      {},
      make("b", {}, `${kind}, ${countBytes(length)}`),
      ` ${start}${bytesIn(kind, start) < length ? "…" : ""}`,
    ),
  );
}

/**
 * How many bytes of the payload are in its kept beginning.
 *
 * @param {KeptFrame["kind"]} kind
 * @param {string} start
 */
function bytesIn(kind, start) {
  if (kind === "close") return Infinity; // A close frame is kept whole.
  return kind === "text"
    ? utf8Bytes(start)
    : start.replaceAll(" ", "").length / 2;
}
