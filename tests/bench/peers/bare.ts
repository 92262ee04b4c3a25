// The peer to which the cost of a join is held: Deno's own server, which accepts
// each handshake and answers the first frame with a fixed welcome. It stores and
// tells nothing, so that a ratio to it means "than Deno alone can".
import process from "node:process";

const port = Number(process.argv[2]);
const welcome = JSON.stringify([{
  type: "welcome",
  sender: "calm-otter",
  key: "Zq2mX0c8TtWv.5yLr1WbK7nQe0sPdAo3uGhJi",
  room: "lobby",
  epoch: "b1Xy9QzA",
  seq: 0,
  recovered: null,
  members: ["calm-otter"],
  count: 1,
  limits: { message: 4000, frame: 65536, rate: 10, burst: 20 },
}]);

Deno.serve({ port, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, {
    protocol: "partyline.v1",
  });
  socket.onmessage = () => socket.send(welcome);
  return response;
});
