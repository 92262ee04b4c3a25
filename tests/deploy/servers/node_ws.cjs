// Node with `ws`, its usual WebSocket library.
const { WebSocketServer } = require("ws");
const { version } = require("ws/package.json");

const echo = (socket) =>
  socket.on(
    "message",
    (data, isBinary) => socket.send(data, { binary: isBinary }),
  );

let count = 0;
function chat(socket, clients) {
  const sender = `guest-${++count}`;
  const tell = (message) => {
    const event = JSON.stringify({ sender, message });
    for (const client of clients) client.send(event);
  };
  clients.add(socket);
  socket.on("message", (data) => tell(String(data)));
  socket.on("close", () => {
    clients.delete(socket);
    tell("Client disconnected");
  });
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
const clients = new Set();
server.on("connection", (socket, { url }) => {
  // It is followed by "close".
  socket.on("error", () => {});
  if (url === "/echo") echo(socket);
  else chat(socket, clients);
});
server.on("listening", () => console.log(server.address().port, version));
