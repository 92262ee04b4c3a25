// The peer that our batching dialect is compared with: Bun's own topics, where
// native code sends a message to all who subscribed, the sender included.
// Never tuned and never limited, so that a ratio to it means "than the fastest
// chat server that is as short to write". Run by the `bun` of its package.
import process from "node:process";

const port = Number(process.argv[2]);
let joined = 0;

// @ts-ignore Only Bun knows `Bun`.
const server = Bun.serve({
  hostname: "127.0.0.1",
  port,
  fetch(request, server) {
    const data = { sender: `user-${++joined}` };
    if (server.upgrade(request, { data })) return undefined;
    return new Response("WebSocket only", { status: 426 });
  },
  websocket: {
    // The load expects no pings: see readText in ../stream.ts.
    sendPings: false,
    idleTimeout: 0,
    open(socket) {
      socket.subscribe("room");
    },
    message(socket, data) {
      const { sender } = socket.data;
      const message = String(data);
      const event = JSON.stringify({ type: "message", sender, message });
      server.publish("room", event);
    },
  },
});
