# A chat client with aiohttp, Python's library for HTTP with asyncio: it sends each
# line that you type and prints what the others say. It takes the address of a
# server, ws://localhost:8000/ws if you give none, and needs Python 3.9 or newer.
#   apt install python3-aiohttp
#   python3 python_aiohttp.py [ADDRESS]
import asyncio, os, re, sys
try:
    import aiohttp
except ImportError:
    sys.exit("The package aiohttp is missing: apt install python3-aiohttp")

def visible(text):
    """Shows control characters, so that no stranger controls this terminal."""
    return re.sub("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]",
                  lambda char: ascii(char[0])[1:-1], text)

def end(status, text):
    print(visible(text), file=sys.stderr, flush=True)
    os._exit(status)  # sys.exit would wait for the next line to be typed.

async def talk(socket):
    while line := await asyncio.to_thread(sys.stdin.readline):
        await socket.send_str(line.rstrip("\n"))

async def listen(socket):
    """Returns the reason that the server gave when it closed."""
    while (frame := await socket.receive()).type == aiohttp.WSMsgType.TEXT:
        event = frame.json()
        print(visible(f"{event['sender']}: {event['message']}"), flush=True)
    return frame.extra or ""

async def main(address="ws://localhost:8000/ws"):
    async with aiohttp.ClientSession() as session:
        try:
            socket = await session.ws_connect(address)
        except Exception as error:
            end(1, f"No connection to {address}: {error}")
        talking = asyncio.create_task(talk(socket))
        listening = asyncio.create_task(listen(socket))
        await asyncio.wait({talking, listening}, return_when=asyncio.FIRST_COMPLETED)
        # First this: only then does close() wait for the answer.
        listening.cancel()
        await asyncio.wait({listening})
        await socket.close()  # with 1000, unless the server has closed
        reason = "" if listening.cancelled() else listening.result()
        end(0 if socket.close_code == 1000 else 1, f"Closed: {socket.close_code} {reason}")

asyncio.run(main(*sys.argv[1:]))
