// @ts-check
// Owns the experiments of the chapter "The handshake": asking without and with
// an upgrade, and the arithmetic of the key. Invariant: it claims to know no
// key of the browser, which shows none to a script.

import { Caller } from "./caller.js";
import { acceptOf, GUID, hex, isKey, newKey, sha1 } from "./digest.js";
import { Experiment, formatMs } from "./experiment.js";
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
    answer.hidden = false;
    answer.textContent = lines.join("\n");
    return status === 426
      ? "The server answered 426: what is here needs an upgrade."
      : `The server answered ${status}, and why.`;
  });
  experiment.on("open", async () => {
    const beganMs = performance.now();
    const caller = await Caller.open(place.socket(place.freshRoom()));
    const tookMs = performance.now() - beganMs;
    const { readyState } = caller.socket;
    caller.close();
    await caller.closed;
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
  const command = experiment.part("command", HTMLElement);

  function compute() {
    const typed = key.value.trim();
    command.textContent = curlCommand(place, typed);
    if (!isKey(typed)) {
      table.hidden = true;
      experiment.tell("A key is 16 bytes in base64: 22 characters and ==.");
      return;
    }
    fill(table, [
      ["Key and the fixed text", typed + GUID],
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
    `  -H 'Sec-WebSocket-Key: ${key.replaceAll("'", "")}' \\\n` +
    `  '${place.http("ws", "learn-curl")}'`;
}
