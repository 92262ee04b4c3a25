// The peer that many would take: Socket.IO as its guide shows it, `io.emit` for
// each message. Never tuned, but for what the load asks for: WebSocket alone,
// nothing compressed (also its default), no pings.
// Runs in a folder that holds its package: see servers.ts.
import { createServer } from "node:http";
import process from "node:process";
// @ts-ignore The package is not a dependency of this project.
import { Server } from "socket.io";

const port = Number(process.argv[2]);
const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  // The load expects no pings: see readText in ../stream.ts.
  pingInterval: 24 * 60 * 60 * 1000,
});
let joined = 0;

io.on("connection", (socket) => {
  const sender = `user-${++joined}`;
  socket.on("message", (message) => {
    io.emit("message", { type: "message", sender, message });
  });
});

http.listen(port, "127.0.0.1");
