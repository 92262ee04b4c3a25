# The course's own chat with FastAPI, written from its description as a teacher
# would: names given by the server, one loop over a list of connections, "Client
# disconnected". Its faults are left in on purpose, because they are those that
# students inherit. Beside it an echo of Starlette, on which FastAPI is built.
# The first argument names the protocol with which uvicorn speaks WebSocket.
import sys
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from starlette.endpoints import WebSocketEndpoint

app = FastAPI()


class Room:
    def __init__(self):
        self.connections = []
        self.count = 0

    async def join(self, connection):
        await connection.accept()
        self.connections.append(connection)
        self.count += 1
        return f"Client {self.count}"

    def leave(self, connection):
        self.connections.remove(connection)

    async def broadcast(self, sender, message):
        for connection in self.connections:
            await connection.send_json({"sender": sender, "message": message})


room = Room()


@app.websocket("/chat")
async def chat(connection: WebSocket):
    name = await room.join(connection)
    try:
        while True:
            await room.broadcast(name, await connection.receive_text())
    except WebSocketDisconnect:
        room.leave(connection)
        await room.broadcast(name, "Client disconnected")


@app.websocket_route("/echo")
class Echo(WebSocketEndpoint):
    async def on_receive(self, websocket, data):
        if isinstance(data, str):
            await websocket.send_text(data)
        else:
            await websocket.send_bytes(data)


protocol = sys.argv[1]
config = uvicorn.Config(app, "127.0.0.1", 0, log_level="critical", ws=protocol)
listener = config.bind_socket()
listener.listen()
packages = ("uvicorn", protocol, "fastapi", "starlette")
print(listener.getsockname()[1], *map(version, packages), flush=True)
uvicorn.Server(config).run(sockets=[listener])
