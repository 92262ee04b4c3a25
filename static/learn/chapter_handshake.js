// @ts-check
// The experiments of the chapter "The handshake": a request with and without an
// upgrade, and the computation of Sec-WebSocket-Accept from a key.

import { Caller } from "./caller.js";
import { acceptOf, GUID, hex, isKey, newKey, sha1 } from "./digest.js";
import { Experiment } from "./experiment.js";
import { formatMs } from "../shared/units.js";
import { fill } from "./table.js";

/** @import { Place } from "./place.js" */

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
export function setUpHandshake(place, onUninvited) {
  setUpUpgrade(place, onUninvited);
  setUpKey(place, onUninvited);
}

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
function setUpUpgrade(place, onUninvited) {
  const experiment = new Experiment("upgrade", onUninvited);
  const answer = experiment.part("answer", HTMLElement);
  experiment.on("ask", async () => {
    const url = place.http("ws", place.freshRoom());
    const response = await fetch(url, { cache: "no-store" });
    const { status, statusText, headers } = response;
    const lines = [
      `HTTP ${status} ${statusText}`.trim(),
      ...["upgrade", "sec-websocket-version", "www-authenticate", "retry-after"]
        .filter((name) => headers.has(name))
        .map((name) => `${name}: ${headers.get(name)}`),
      "",
      (await response.text()).trim(),
    ];
    experiment.part("plain", HTMLElement).hidden = false;
    answer.textContent = lines.join("\n");
    return status === 426
      ? "The server answered 426: this address needs an upgrade."
      : `The server answered ${status}, with the reason.`;
  });
  experiment.on("open", async () => {
    const beganMs = performance.now();
    const caller = await Caller.open(place.socket(place.freshRoom()));
    const tookMs = performance.now() - beganMs;
    const { readyState } = caller.socket;
    caller.close();
    await caller.closed;
    experiment.part("switched", HTMLElement).hidden = false;
    return `It opened after ${formatMs(tookMs)}: the server answered 101. ` +
      `readyState was ${readyState} (OPEN); the page has closed it again.`;
  });
}

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
function setUpKey(place, onUninvited) {
  const experiment = new Experiment("accept", onUninvited);
  const key = experiment.part("key", HTMLInputElement);
  const table = experiment.part("table", HTMLTableElement);
  const terminal = experiment.part("terminal", HTMLElement);
  const command = experiment.part("command", HTMLElement);

  function compute() {
    const typed = key.value.trim();
    table.hidden = terminal.hidden = !isKey(typed);
    if (!isKey(typed)) {
      experiment.tell("A key is 16 bytes in base64: 22 characters and ==.");
      return;
    }
    command.textContent = curlCommand(place, typed);
    fill(table, [
      ["Key and fixed text", typed + GUID],
      ["SHA-1, 20 bytes", hex(sha1(new TextEncoder().encode(typed + GUID)))],
      ["In base64: Sec-WebSocket-Accept", acceptOf(typed)],
    ]);
    experiment.tell(`The server must answer ${acceptOf(typed)}.`);
  }

  key.addEventListener("input", compute);
  experiment.onPress("new", () => {
    key.value = newKey();
    compute();
  });
  compute();
}

/**
 * @param {Place} place
 * @param {string} key
 */
function curlCommand(place, key) {
  return "curl -i -N --http1.1 --max-time 2 \\\n" +
    "  -H 'Connection: Upgrade' -H 'Upgrade: websocket' \\\n" +
    "  -H 'Sec-WebSocket-Version: 13' \\\n" +
    `  -H 'Sec-WebSocket-Key: ${key}' \\\n` +
    `  '${place.http("ws", "learn-curl")}'`;
}
