// A chat client with the WebSocket that is part of Node: it sends each line that
// you type and prints what the others say. It takes the address of a server,
// ws://localhost:8000/ws if you give none, and needs Node 22 or newer.
//   npx -y node@22 node_builtin.mjs [ADDRESS]
import process from "node:process";
import { createInterface } from "node:readline";

/** Shows control characters, so that no stranger controls this terminal. */
function visible(text) {
  return text.replace(
    /[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function end(status, text) {
  console.error(visible(text));
  process.exit(status);
}

const address = process.argv[2] ?? "ws://localhost:8000/ws";
if (!globalThis.WebSocket) {
  end(1, `Node ${process.version} has no WebSocket: use Node 22 or newer.`);
}
let socket;
let isOpen = false;
try {
  socket = new WebSocket(address);
} catch ({ message }) {
  end(1, `No connection to ${address}: ${message}`);
}

socket.onopen = async () => {
  isOpen = true;
  for await (const line of createInterface({ input: process.stdin })) {
    socket.send(line);
  }
  socket.close(1000);
};
socket.onmessage = ({ data }) => {
  const { sender, message } = JSON.parse(data);
  console.log(visible(`${sender}: ${message}`));
};
socket.onerror = async () => {
  if (isOpen) return; // `onclose` comes next.
  end(1, `No connection to ${address}: ${await explain()}`);
};
socket.onclose = ({ code, reason }) => {
  if (isOpen) end(code === 1000 ? 0 : 1, `Closed: ${code} ${reason}`);
};

/** This class never says why it failed, but a plain GET is told. */
async function explain() {
  try {
    const answer = await fetch(address.replace(/^ws/, "http"));
    if (answer.ok) return "that is a page, not a WebSocket";
    return `${answer.status} ${(await answer.text()).trim().slice(0, 200)}`;
  } catch (error) {
    return error.cause?.message || error.cause?.code || error.message;
  }
}
