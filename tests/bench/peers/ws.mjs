// The peer that our server is compared with: the plain loop that `ws` users
// write, each message encoded once. Never tuned and never limited, so that a
// ratio to it means "than the usual Node chat server".
// Runs in a folder that holds its package: see servers.ts.
// @ts-ignore The package is not a dependency of this project.
import { WebSocketServer } from "ws";
import process from "node:process";

const port = Number(process.argv[2]);
const server = new WebSocketServer({ host: "127.0.0.1", port });
let joined = 0;

server.on("connection", (socket) => {
  const sender = `user-${++joined}`;
  socket.on("message", (data) => {
    const message = String(data);
    const event = JSON.stringify({ type: "message", sender, message });
    for (const client of server.clients) {
      if (client.readyState === client.OPEN) client.send(event);
    }
  });
});
