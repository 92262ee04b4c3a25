// A chat client with ws, the usual library for Node: it sends each line that you
// type and prints what the others say. It takes the address of a server,
// ws://localhost:8000/ws if you give none, and needs Node 18 or newer.
//   npm install ws
//   node node_ws.cjs [ADDRESS]
const process = require("node:process");
const { createInterface } = require("node:readline");
const WebSocket = require("ws");

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
let socket;
try {
  socket = new WebSocket(address);
} catch ({ message }) {
  end(1, `No connection to ${address}: ${message}`);
}

socket.on("open", async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    socket.send(line);
  }
  socket.close(1000);
});
socket.on("message", (data) => {
  const { sender, message } = JSON.parse(data);
  console.log(visible(`${sender}: ${message}`));
});
socket.on("close", (code, reason) => {
  end(code === 1000 ? 0 : 1, `Closed: ${code} ${reason}`);
});
socket.on("error", ({ code, message }) => {
  end(1, `No connection to ${address}: ${message || code}`);
});
// Without this a refused handshake is told as its number alone.
socket.on("unexpected-response", async (_request, response) => {
  const [text = ""] = await response.take(1).toArray();
  const why = `${response.statusCode} ${String(text).trim().slice(0, 200)}`;
  end(1, `No connection to ${address}: ${why}`);
});
