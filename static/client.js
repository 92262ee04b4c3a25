// A chat client for Node 22 and newer and for Deno. Type a line to send it.
//   node client.js [ADDRESS]   or   deno run --allow-net client.js [ADDRESS]
const { process, WebSocket } = globalThis;
const address = process.argv[2] ?? "ws://localhost:8000/ws";

function end(status, text) {
  console.error(visible(text));
  process.exit(status);
}

/** Shows control characters, so that no stranger controls this terminal. */
function visible(text) {
  return text.replace(
    /[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const HINTS = [
  [/refused/i, "nothing listens there."],
  [/ENOTFOUND|dns error/, "no host has that name."],
  [
    /InvalidContentType|WRONG_VERSION/,
    "This server does not use TLS: try ws://.",
  ],
  [/HTTP version|HPE_INVALID/, "This server speaks TLS: try wss://."],
];

/** A failed handshake does not tell why, but a plain GET does. */
async function explain() {
  try {
    const answer = await fetch(address.replace(/^ws/, "http"));
    if (answer.ok) {
      return "That is a page, not a WebSocket: the address ends in /ws.";
    }
    const text = (await answer.text()).trim();
    const words = text.startsWith("<") ? answer.statusText : text;
    return `${answer.status} ${words.slice(0, 200)}`;
  } catch (error) {
    const { code = "", message } = error.cause ?? error;
    const text = `${code} ${message}`.trim();
    return HINTS.find(([pattern]) => pattern.test(text))?.[1] ?? text;
  }
}

if (!WebSocket) {
  end(1, `Node ${process.version} has no WebSocket: use Node 22 or newer.`);
}
let socket, isOpen;
try {
  socket = new WebSocket(address);
} catch ({ name }) {
  const flag = "Deno needs a flag: deno run --allow-net client.js";
  const form = "An address looks like this: ws://HOST:PORT/ws";
  end(1, name === "NotCapable" ? flag : form);
}
setTimeout(() => {
  if (!isOpen) end(1, `No connection to ${address}: no answer in 10 seconds.`);
}, 10_000);

socket.onopen = async () => {
  isOpen = true;
  console.error("Connected. Type a line and press Enter.");
  const { createInterface } = await import("node:readline");
  for await (const line of createInterface({ input: process.stdin })) {
    socket.send(line);
  }
  // Half a second for the answers to the last lines.
  setTimeout(() => socket.close(1000), 500);
};
socket.onmessage = ({ data }) => {
  const { sender, message } = JSON.parse(data);
  console.log(visible(`${sender}: ${message}`));
};
socket.onclose = ({ code, reason }) => {
  // Without a close frame the code is 1006; Deno says 0.
  if (isOpen) end(code === 1000 ? 0 : 1, `Closed: ${code || 1006} ${reason}`);
};
socket.onerror = async () => {
  if (isOpen) return; // `onclose` comes next.
  end(1, `No connection to ${address}: ${await explain()}`);
};
