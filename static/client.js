import process from "node:process";

const socket = new WebSocket(process.argv[2] ?? "ws://localhost:8000/ws");

socket.onopen = () => {
  process.stdin.on("data", (line) => socket.send(String(line).trimEnd()));
};
socket.onmessage = ({ data }) => {
  const { sender, message } = JSON.parse(data);
  console.log(`${sender}: ${message}`);
};
socket.onclose = ({ code, reason }) => {
  console.log(`closed: ${code} ${reason}`);
  process.exit();
};
