import process from "node:process";

const socket = new WebSocket(process.argv[2] ?? "ws://localhost:8000/ws");

socket.onmessage = ({ data }) => {
  const { sender, message } = JSON.parse(data);
  console.log(`${sender}: ${message}`);
};
socket.onclose = ({ code }) => process.exit(code === 1000 ? 0 : 1);

process.stdin.on("data", (line) => socket.send(String(line).trimEnd()));
