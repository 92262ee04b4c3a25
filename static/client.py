# A chat client for Python 3.9 and newer. Type a line to send it.
#   pip install websockets   and   python3 client.py [ADDRESS]
import asyncio, json, os, re, signal, sys, urllib.request
from socket import gaierror

try:
    import websockets
except ImportError:
    sys.exit("The package websockets is missing: pip install websockets")

def end(status, text):
    print(visible(text), file=sys.stderr, flush=True)
    os._exit(status)  # Not sys.exit: that waits for the next line to be typed.

def visible(text):
    """Shows control characters, so that no stranger controls this terminal."""
    return re.sub("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]",
                  lambda char: ascii(char[0])[1:-1], text)

def is_address(text):
    try:
        url = urllib.parse.urlsplit(text)
        return url.scheme in ("ws", "wss") and url.hostname and url.port != 0
    except ValueError:  # no such port
        return False

def explain(address):
    """A handshake that failed does not tell why, but a plain GET is told."""
    try:
        answer = urllib.request.urlopen(re.sub("^ws", "http", address))
    except urllib.error.HTTPError as error:
        answer = error
    except Exception as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ConnectionRefusedError):
            return "nothing listens there."
        if isinstance(reason, gaierror):
            return "no host has that name."
        if re.search("WRONG_VERSION|RECORD_LAYER", str(reason)):
            return "This server does not use TLS: try ws://."
        # What TLS answers to plain text begins with these two bytes.
        if str(reason).startswith("\x15\x03"):
            return "This server speaks TLS: try wss://."
        return str(reason)
    if answer.status < 300:
        return "That is a page, not a WebSocket: the address ends in /ws."
    text = answer.read(999).decode(errors="replace").strip()
    return f"{answer.status} {answer.reason if text.startswith('<') else text[:200]}"

async def talk(socket):
    lines = open(0, encoding="utf-8", errors="replace")
    while line := await asyncio.to_thread(lines.readline):
        await socket.send(line.rstrip("\n"))
    await asyncio.sleep(0.5)  # for the answers to the last lines
    await socket.close()

async def main(address="ws://localhost:8000/ws"):
    if not is_address(address):
        end(1, "An address looks like this: ws://HOST:PORT/ws")
    late = asyncio.get_running_loop().call_later(
        10, end, 1, f"No connection to {address}: no answer in 10 seconds.")
    try:
        socket = await websockets.connect(address)
    except Exception:
        reason = await asyncio.to_thread(explain, address)
        end(1, f"No connection to {address}: {reason}")
    late.cancel()
    print("Connected. Type a line and press Enter.", file=sys.stderr)
    talking = asyncio.create_task(talk(socket))
    try:
        async for frame in socket:
            event = json.loads(frame)
            print(visible(f"{event['sender']}: {event['message']}"), flush=True)
    except websockets.ConnectionClosed:
        pass  # told below
    end(0 if socket.close_code == 1000 else 1,
        f"Closed: {socket.close_code} {socket.close_reason}")

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C ends it, and waits for no line.
asyncio.run(main(*sys.argv[1:]))
