# A chat client with websockets that loses nothing: it speaks partyline.v1, comes
# back after a lost connection and sends again what was not acknowledged. It takes
# the address of a server, ws://localhost:8000/ws if you give none, and needs Python
# 3.9 or newer.
#   apt install python3-websockets
#   python3 python_websockets_v1.py [ADDRESS]
import asyncio, json, os, random, re, sys, uuid
try:
    import websockets
except ImportError:
    sys.exit("The package websockets is missing: apt install python3-websockets "
             "or pip install websockets")

# After these codes it would only be closed again: 4002, another connection has the key.
FINAL = {1002, 1003, 1007, 1008, 1009}
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30  # in seconds

def visible(text):
    """Shows control characters, so that no stranger controls this terminal."""
    return re.sub("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]",
                  lambda char: ascii(char[0])[1:-1], text)

def tell(text):
    print(visible(text), file=sys.stderr, flush=True)

def end(status, text):
    tell(text)
    os._exit(status)  # sys.exit would wait for the next line to be typed.

def explain(error):
    """Newer versions of the library keep what the server answered."""
    answer = getattr(error, "response", None)
    body = getattr(answer, "body", None) or b""
    return f"{error} {body[:200].decode(errors='replace').strip()}"

class Chat:
    socket = None  # set from the welcome to the end of a connection
    key = None  # makes us the same person again
    epoch, seq = None, 0  # our position: up to here nothing is missing
    waiting = None  # the message that is not acknowledged yet
    stay_away = 0  # seconds that the server asked for
    has_ended = False  # all that was typed is said

    def __init__(self):
        self.acknowledged = asyncio.Event()

    async def talk(self):
        """One message at a time: the next line is read when this one is stored."""
        while line := await asyncio.to_thread(sys.stdin.readline):
            # Others see the ids, too, so they have to be unlike theirs.
            self.waiting = {"type": "message", "message": line.rstrip("\n"), "id": str(uuid.uuid4())}
            self.acknowledged.clear()
            await self.send_waiting()
            await self.acknowledged.wait()
        self.has_ended = True
        if self.socket is None:
            end(0, "Not connected, and nothing is left to say.")
        await self.socket.close()  # with 1000

    async def send_waiting(self):
        if self.socket is None or self.waiting is None:
            return  # The next welcome sends it.
        try:
            await self.socket.send(json.dumps(self.waiting))
        except websockets.ConnectionClosed:
            pass  # Again after the next welcome.

    async def converse(self, socket):
        """Returns, at the end of a connection, whether it was of use."""
        hello = {"type": "hello", "history": 0}
        if self.key is not None:
            hello |= {"key": self.key, "since": {"epoch": self.epoch, "seq": self.seq}}
        self.stay_away = 0
        try:
            await socket.send(json.dumps(hello))
            async for frame in socket:
                for event in json.loads(frame):
                    await self.hear(socket, event)
        except websockets.ConnectionClosed:
            pass  # The caller looks at the code.
        was_welcome, self.socket = self.socket is not None, None
        return was_welcome

    async def hear(self, socket, event):
        kind, id = event["type"], event.get("id")
        is_ours = id is not None and self.waiting is not None and id == self.waiting["id"]
        if kind == "welcome":
            self.key = event["key"]
            if event["recovered"] is False:
                tell("Some messages are missing: the server has them no more.")
            if event["recovered"] is not True:
                self.epoch, self.seq = event["epoch"], event["seq"]
            self.socket = socket
            await self.send_waiting()
        elif kind == "message":
            # What was sent twice comes back with the number that it had: shown once.
            if event["seq"] == self.seq + 1:
                self.seq += 1
                self.show(event)
            if is_ours:
                self.settle()
        elif kind == "leave":
            self.show(event)
        elif kind == "error":
            seconds = event.get("retryAfter", 0) / 1000
            if is_ours and seconds > 0:
                asyncio.get_running_loop().call_later(
                    seconds, lambda: asyncio.ensure_future(self.send_waiting()))
                return
            tell(event["message"])
            if is_ours:
                self.settle()  # It will never be stored.
            else:
                self.stay_away = seconds  # The end of the connection comes next.

    def settle(self):
        self.waiting = None
        self.acknowledged.set()

    def show(self, event):
        print(visible(f"{event['sender']}: {event['message']}"), flush=True)

async def main(address="ws://localhost:8000/ws"):
    chat = Chat()
    talking = None
    pause = FIRST_PAUSE
    while True:
        try:
            # It sends pings of its own, and so finds out that a network is dead.
            socket = await websockets.connect(address, subprotocols=["partyline.v1"])
        except Exception as error:
            if chat.key is None:
                end(1, f"No connection to {address}: {explain(error)}")
            tell(f"No connection: {explain(error)}")
        else:
            talking = talking or asyncio.create_task(chat.talk())
            if await chat.converse(socket):
                pause = FIRST_PAUSE
            code = socket.close_code
            text = f"Closed: {code} {socket.close_reason}"
            if chat.has_ended or code in FINAL or code >= 4000:
                end(0 if code == 1000 else 1, text)
            tell(text)
        # At random, so that not all come back at once.
        seconds = max(chat.stay_away, pause * random.uniform(0.5, 1))
        tell(f"Coming back in {seconds:.1f} s.")
        await asyncio.sleep(seconds)
        pause = min(2 * pause, LONGEST_PAUSE)

asyncio.run(main(*sys.argv[1:]))
