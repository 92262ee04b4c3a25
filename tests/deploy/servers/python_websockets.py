# Python's `websockets`, as its documentation shows it.
import asyncio
import itertools
import json

import websockets

clients = set()
names = (f"guest-{count}" for count in itertools.count(1))


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def chat(socket):
    sender = next(names)

    def tell(message):
        websockets.broadcast(clients, json.dumps({"sender": sender, "message": message}))

    clients.add(socket)
    try:
        async for message in socket:
            tell(message if isinstance(message, str) else message.hex())
    finally:
        clients.remove(socket)
        tell("Client disconnected")


async def main():
    handler = lambda socket: echo(socket) if socket.path == "/echo" else chat(socket)
    async with websockets.serve(handler, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], websockets.version.version, flush=True)
        await asyncio.Future()


asyncio.run(main())
