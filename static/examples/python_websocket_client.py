# A chat client with websocket-client, Python's library without asyncio: one
# thread sends each line that you type, another prints what the others say. It takes
# the address of a server, ws://localhost:8000/ws if you give none, and needs
# Python 3.9 or newer.
#   apt install python3-websocket
#   python3 python_websocket_client.py [ADDRESS]
import json, os, re, struct, sys, threading
try:
    import websocket
except ImportError:
    sys.exit("The package websocket-client is missing: apt install python3-websocket")

def visible(text):
    """Shows control characters, so that no stranger controls this terminal."""
    return re.sub("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]",
                  lambda char: ascii(char[0])[1:-1], text)

def end(status, text):
    print(visible(text), file=sys.stderr, flush=True)
    os._exit(status)  # sys.exit would wait for the next line to be typed.

def talk(socket):
    for line in sys.stdin:
        socket.send(line.rstrip("\n"))
    socket.send_close(1000)  # The answer ends the loop below.

address = sys.argv[1] if len(sys.argv) > 1 else "ws://localhost:8000/ws"
try:
    socket = websocket.create_connection(address, timeout=10)
except websocket.WebSocketBadStatusException as error:
    # Newer versions of the library keep what the server answered.
    body = getattr(error, "resp_body", None) or b""
    status = str(error).split(" -+-+- ")[0]
    end(1, f"No connection to {address}: {status} {body[:200].decode(errors='replace').strip()}")
except Exception as error:
    end(1, f"No connection to {address}: {error}")
socket.settimeout(None)  # A chat may be quiet for as long as it likes.
threading.Thread(target=talk, args=[socket], daemon=True).start()
code, reason = 1006, ""  # what RFC 6455 calls an end without a close frame
try:
    while True:
        opcode, data = socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            code = struct.unpack("!H", data[:2])[0] if data else 1005
            reason = data[2:].decode()
            break
        event = json.loads(data)
        print(visible(f"{event['sender']}: {event['message']}"), flush=True)
except (OSError, websocket.WebSocketException):
    pass  # told below
end(0 if code == 1000 else 1, f"Closed: {code} {reason}")
