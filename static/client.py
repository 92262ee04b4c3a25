import asyncio, json, sys, websockets

async def show(socket):
    async for frame in socket:
        event = json.loads(frame)
        print(f"{event['sender']}: {event['message']}", flush=True)

async def main(url="ws://localhost:8000/ws"):
    async with websockets.connect(url) as socket:
        asyncio.create_task(show(socket))
        while line := await asyncio.to_thread(sys.stdin.readline):
            await socket.send(line.rstrip("\n"))

asyncio.run(main(*sys.argv[1:]))
