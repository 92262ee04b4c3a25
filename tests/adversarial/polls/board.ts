// A full board, in a process of its own: 64 clients draw at the rate of a pen,
// with long strokes, and read at once all that comes.
const [url = "", protocol = "", seconds = "10"] = Deno.args;
const DRAWERS = 64;
const EVERY_MS = 1000 / 60;
const BYTES = 512;

const reasons: Record<string, number> = {};
let shown = 0;
const sockets = Array.from({ length: DRAWERS }, () => {
  const socket = new WebSocket(url, protocol);
  socket.binaryType = "arraybuffer";
  socket.onmessage = () => shown++;
  socket.onclose = ({ reason }) => {
    reasons[reason || "lost"] = (reasons[reason || "lost"] ?? 0) + 1;
  };
  return socket;
});
await Promise.all(
  sockets.map((socket) => new Promise((resolve) => socket.onopen = resolve)),
);
const stroke = new Uint8Array(BYTES);
const timer = setInterval(() => {
  for (const socket of sockets) {
    if (socket.readyState === WebSocket.OPEN) socket.send(stroke);
  }
}, EVERY_MS);
await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));
clearInterval(timer);
const here = sockets.filter(({ readyState }) => readyState === 1).length;
console.log(
  `${here} of ${DRAWERS} are still there, shown ` +
    `${Math.round(shown / Number(seconds))} strokes a second; ` +
    `ends: ${JSON.stringify(reasons)}`,
);
Deno.exit();
