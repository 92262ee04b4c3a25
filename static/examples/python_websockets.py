# A chat client with websockets, Python's library for asyncio: it sends each line
# that you type and prints what the others say. It takes the address of a server,
# ws://localhost:8000/ws if you give none, and needs Python 3.9 or newer.
#   apt install python3-websockets
#   python3 python_websockets.py [ADDRESS]
import asyncio, json, os, re, sys
try:
    import websockets
except ImportError:
    sys.exit("The package websockets is missing: apt install python3-websockets "
             "or pip install websockets")

def visible(text):
    """Shows control characters, so that no stranger controls this terminal."""
    return re.sub("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]",
                  lambda char: ascii(char[0])[1:-1], text)

def end(status, text):
    print(visible(text), file=sys.stderr, flush=True)
    os._exit(status)  # sys.exit would wait for the next line to be typed.

def explain(error):
    """Newer versions of the library keep what the server answered."""
    answer = getattr(error, "response", None)
    body = getattr(answer, "body", None) or b""
    return f"{error} {body[:200].decode(errors='replace').strip()}"

async def talk(socket):
    while line := await asyncio.to_thread(sys.stdin.readline):
        await socket.send(line.rstrip("\n"))
    await socket.close()  # with 1000

async def main(address="ws://localhost:8000/ws"):
    try:
        socket = await websockets.connect(address)
    except Exception as error:
        end(1, f"No connection to {address}: {explain(error)}")
    talking = asyncio.create_task(talk(socket))
    try:
        async for frame in socket:
            event = json.loads(frame)
            print(visible(f"{event['sender']}: {event['message']}"), flush=True)
    except websockets.ConnectionClosed:
        pass  # told below
    end(0 if socket.close_code == 1000 else 1,
        f"Closed: {socket.close_code} {socket.close_reason}")

asyncio.run(main(*sys.argv[1:]))
