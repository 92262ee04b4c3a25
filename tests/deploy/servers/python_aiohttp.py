# Python's `aiohttp`, as its documentation shows it.
import asyncio
import itertools

import aiohttp
from aiohttp import WSMsgType, web

clients = set()
names = (f"guest-{count}" for count in itertools.count(1))


async def echo(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def chat(request):
    sender = next(names)

    async def tell(message):
        event = {"sender": sender, "message": message}
        sending = [client.send_json(event) for client in clients]
        await asyncio.gather(*sending, return_exceptions=True)

    socket = web.WebSocketResponse()
    await socket.prepare(request)
    clients.add(socket)
    try:
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                await tell(message.data)
    finally:
        clients.remove(socket)
        await tell("Client disconnected")
    return socket


async def main():
    app = web.Application()
    app.add_routes([web.get("/echo", echo), web.get("/chat", chat)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], aiohttp.__version__, flush=True)
    await asyncio.Future()


asyncio.run(main())
