// The attacks: what each of them strains, at which size, and how it is done. The
// size is bounded in connections and in bytes, and shrinks with the scale. An
// attack does not end by itself: its process is ended.
import { SUBPROTOCOL } from "../../../chat/protocol/requests.ts";
import { frame, Opcode } from "../../../chat/check/frames.ts";
import { handshake } from "../../support/harness.ts";
import { type Field, pause } from "./field.ts";
import * as http2 from "./http2.ts";
import { encode, Peer, reset } from "./peer.ts";

/** Where the good clients talk. */
export const BUSY_ROOM = "busy";

const BUSY = `/ws?room=${BUSY_ROOM}`;
const V1 = { "Sec-WebSocket-Protocol": SUBPROTOCOL };

const MIB = 1024 * 1024;

export interface Attack {
  name: string;
  /** What is done, and how often at scale 1. */
  what: string;
  /** The rule that is broken or the limit that is to hold. */
  limit: string;
  /** So that one core is not the attack's limit. */
  processes: number;
  /** What is known to be lost with it; such are left out of a mix. */
  leaks?: string;
  /** Returns when a bounded attack is done; others go on for ever. */
  run(field: Field): Promise<void>;
}

export const attacks: readonly Attack[] = [
  {
    name: "idle10k",
    what: "10,000 clients in 100 rooms that say nothing and answer pings",
    limit: "--max-clients",
    processes: 4,
    run: (field) =>
      field.hold(field.size(10_000), async (i, opened) => {
        const room = field.number(i) % 100;
        const peer = await Peer.upgrade(field.port, `/ws?room=idle-${room}`);
        opened();
        return peer.drain();
      }),
  },
  {
    name: "never-read",
    what: "1,000 clients in the busy room, 300 never read, 3 say 16 KB 6/s",
    limit: "--send-limit; RFC 6455 section 7.4.2, code 1013 of IANA",
    processes: 2,
    run: neverRead,
  },
  {
    name: "half-request",
    what: "5,000 connections that send half a request and wait",
    limit: "RFC 9112 section 9.5: a server may close them",
    processes: 2,
    run: (field) => {
      const half = encode(handshake(field.port).slice(0, 60));
      return field.hold(field.size(5_000), async (_, opened) => {
        const peer = await Peer.connect(field.port);
        await peer.write(half);
        opened();
        return peer.discard();
      });
    },
  },
  {
    name: "slow-headers",
    what: "1,000 connections that send a header of one byte a second",
    limit: "RFC 9112 section 9.5: a server may close them",
    processes: 1,
    run: slowHeaders,
  },
  {
    name: "fragments",
    what: "20 clients that send fragments of 64 KiB without end, up to 1 GiB",
    limit: "--max-frame; RFC 6455 sections 5.4 and 10.4",
    processes: 1,
    run: fragments,
  },
  {
    name: "big-frame",
    what: "20 clients with frames of 60 MiB; half keep the last byte back",
    limit: "--max-frame; RFC 6455 sections 5.2 and 10.4",
    processes: 1,
    run: bigFrame,
  },
  {
    name: "big-frame-slow",
    what: "200 clients with a frame of 60 MiB, sent at 4 KiB/s",
    limit: "--max-frame; RFC 6455 sections 5.2 and 10.4",
    processes: 1,
    run: bigFrameSlow,
  },
  {
    name: "vanish",
    what: "100,000 connections, gone by FIN or RST, but not in the handshake",
    limit: "RFC 6455 section 7.1.7: nothing may be left of them",
    processes: 2,
    run: vanish,
  },
  {
    name: "vanish-upgrade",
    what: "10,000 connections, gone by RST in the handshake",
    limit: "RFC 6455 section 7.1.7: nothing may be left of them",
    processes: 1,
    leaks: "Deno 2.9.6 keeps the descriptor of most of them for good",
    run: (field) => {
      const request = encode(handshake(field.port, BUSY));
      return field.each(field.size(10_000), async () => {
        await reset(field.port, request);
        field.count("RST in the handshake");
      });
    },
  },
  {
    name: "rooms",
    what: "10,000 rooms asked for; whoever is let in stays",
    limit: "--max-rooms",
    processes: 1,
    run: async (field) => {
      await field.each(field.size(10_000), async (i) => {
        const room = `r${field.number(i)}`;
        const peer = await Peer.upgrade(field.port, `/ws?room=${room}`);
        field.count("let in");
        peer.drain().then((code) => field.count(`closed with ${code}`));
      });
      field.begun();
      await forever();
    },
  },
  {
    name: "rename",
    what: "100 clients in the busy room that rename themselves 100 times",
    limit: "--rate",
    processes: 1,
    run: (field) => field.each(field.size(100), (i) => rename(field, i)),
  },
  {
    name: "hellos",
    what: "10,000 new identities in the busy room, each left at once",
    limit: "identities kept in the log; names resting",
    processes: 1,
    run: (field) =>
      field.each(field.size(10_000), async (i) => {
        const name = i % 2 === 0 ? { name: `h${field.dice.below(1e9)}` } : {};
        const peer = await Peer.upgrade(field.port, BUSY, V1);
        await peer.send(JSON.stringify({ type: "hello", ...name }));
        field.count(await peer.hear() ? "welcome" : "cut off");
        peer.hangUp();
      }),
  },
  {
    name: "pong-flood",
    what: "4 clients that send pongs nobody asked for at full speed",
    limit: "RFC 6455 section 5.5.3",
    processes: 1,
    run: (field) => flood(field, [], frame(Opcode.pong, "")),
  },
  {
    name: "ping-flood",
    what: "4 clients that send pings at full speed and read no pong",
    limit: "RFC 6455 section 5.5.2",
    processes: 1,
    run: (field) => flood(field, [], frame(Opcode.ping, "x".repeat(120)), true),
  },
  {
    name: "empty-fragment-flood",
    what: "4 clients that send empty fragments of one message at full speed",
    limit: "RFC 6455 section 5.4",
    processes: 1,
    run: (field) => {
      const first = frame(Opcode.text, "", { fin: false });
      const empty = frame(Opcode.continuation, "", { fin: false });
      return flood(field, first, empty);
    },
  },
  {
    name: "no-close-answer",
    what: "1,000 clients closed for a binary frame, who stay; half do not read",
    limit: "RFC 6455 section 7.1.1: the server may close TCP itself",
    processes: 1,
    run: (field) =>
      field.hold(field.size(1_000), async (i, opened) => {
        const peer = await Peer.upgrade(field.port, BUSY);
        await peer.write(frame(Opcode.binary, "x"));
        opened();
        if (i % 2 === 0) return forever();
        return peer.drain({ answersPings: true, answersClose: false });
      }),
  },
  {
    name: "stalled-http",
    what: "1,000 connections that ask for a file 500 times and read nothing",
    limit: "none in HTTP; the answers wait in the server",
    processes: 1,
    run: (field) => {
      const request = "GET /asyncapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
      const requests = encode(request.repeat(500));
      return field.hold(field.size(1_000), async (_, opened) => {
        const peer = await Peer.connect(field.port);
        opened();
        peer.write(requests);
        return forever();
      });
    },
  },
  {
    name: "h2-stalled",
    what: "200 HTTP/2 connections that ask for 100 files and let none out",
    limit: "RFC 9113 section 10.5",
    processes: 1,
    run: (field) => {
      const streams = Array.from({ length: 100 }, (_, i) => 2 * i + 1);
      const requests = streams.flatMap((id) => http2.get(id, "/asyncapi.json"));
      const bytes = Uint8Array.from([...http2.begin(0), ...requests]);
      return field.hold(field.size(200), async (_, opened) => {
        const peer = await Peer.connect(field.port);
        await peer.write(bytes);
        opened();
        return peer.discard();
      });
    },
  },
  {
    name: "h2-reset",
    what: "4 HTTP/2 connections that ask and cancel at full speed",
    limit: "RFC 9113 section 10.5; CVE-2023-44487",
    processes: 1,
    run: rapidReset,
  },
];

/** The attack of that name; undefined if there is none. */
export function findAttack(name: string): Attack | undefined {
  return attacks.find((attack) => attack.name === name);
}

const SPEAKERS = 3;
/** Below the rate of 10 messages a second. */
const SAY_EVERY_MS = 166;

async function neverRead(field: Field): Promise<void> {
  const text = "🦦".repeat(4_000);
  await field.hold(field.size(1_000), async (i, opened) => {
    const peer = await Peer.upgrade(field.port, BUSY);
    opened();
    if (i % 10 >= 7) return forever();
    const ended = peer.drain();
    if (field.isFirst && i < SPEAKERS) {
      const timer = setInterval(() => peer.send(text), SAY_EVERY_MS);
      ended.then(() => clearInterval(timer));
    }
    return ended;
  });
}

async function slowHeaders(field: Field): Promise<void> {
  const begin = encode("GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: ");
  const byte = encode("x");
  await field.hold(field.size(1_000), async (_, opened) => {
    const peer = await Peer.connect(field.port);
    await peer.write(begin);
    opened();
    return drip(peer, byte, peer.discard());
  });
}

async function bigFrameSlow(field: Field): Promise<void> {
  const bytes = new Uint8Array(4 * 1024);
  await field.hold(field.size(200), async (_, opened) => {
    const peer = await Peer.upgrade(field.port, BUSY);
    await peer.write(bigHead());
    opened();
    return drip(peer, bytes, peer.drain());
  });
}

function forever(): Promise<never> {
  return new Promise(() => {});
}

/** Writes the bytes once a second, until the connection has ended. */
async function drip(
  peer: Peer,
  bytes: Uint8Array,
  ended: Promise<number | void>,
): Promise<number | void> {
  const timer = setInterval(() => peer.write(bytes), 1_000);
  const code = await ended;
  clearInterval(timer);
  return code;
}

/** Together at most 1 GiB at scale 1, which stays where it is. */
async function fragments(field: Field): Promise<void> {
  let leftBytes = field.size(1024) * MIB;
  const payload = new Uint8Array(64 * 1024);
  const first = frame(Opcode.text, payload, { fin: false });
  const next = frame(Opcode.continuation, payload, { fin: false });
  const write = async (peer: Peer) => {
    await peer.write(first);
    while (leftBytes > 0 && await peer.write(next)) {
      leftBytes -= payload.length;
      field.count("MiB", 1 / 16);
    }
  };
  await field.hold(field.size(20), async (_, opened) => {
    const peer = await Peer.upgrade(field.port, BUSY);
    opened();
    write(peer);
    return peer.drain();
  });
}

const BIG_MIB = 60;

/** The head of a frame of 60 MiB, with the mask 0. */
function bigHead(): Uint8Array {
  const head = new DataView(new ArrayBuffer(14));
  head.setUint16(0, 0x81ff);
  head.setUint32(6, BIG_MIB * MIB);
  return new Uint8Array(head.buffer);
}

/** At most 20 times 60 MiB at scale 1, and again after a close with 1009. */
async function bigFrame(field: Field): Promise<void> {
  const mib = new Uint8Array(MIB).fill(0x78);
  const write = async (peer: Peer, isWhole: boolean) => {
    await peer.write(bigHead());
    for (let i = 1; i < BIG_MIB; i++) {
      if (!await peer.write(mib)) return;
      field.count("MiB");
    }
    await peer.write(isWhole ? mib : mib.subarray(1));
  };
  await field.hold(field.size(20), async (i, opened) => {
    const peer = await Peer.upgrade(field.port, BUSY);
    opened();
    write(peer, i % 2 === 0);
    return peer.drain();
  });
}

async function vanish(field: Field): Promise<void> {
  const { port, dice } = field;
  const request = encode(handshake(port, BUSY));
  const half = request.subarray(0, request.length >> 1);
  const nothing = new Uint8Array();
  const ways: Record<string, () => Promise<void>> = {
    "FIN at once": () => connectAndClose(port, nothing),
    "RST at once": () => reset(port, nothing),
    "FIN in the request": () => connectAndClose(port, half),
    "RST in the request": () => reset(port, half),
    "FIN in the handshake": () => connectAndClose(port, request),
    "after the handshake": async () =>
      (await Peer.upgrade(port, BUSY)).hangUp(),
    "after a message": async () => {
      const peer = await Peer.upgrade(port, "/ws?room=vanish");
      await peer.send("gone");
      peer.hangUp();
    },
  };
  await field.each(field.size(100_000), async () => {
    const way = dice.pick(Object.keys(ways)) ?? "";
    await ways[way]?.();
    field.count(way);
  });
}

async function connectAndClose(port: number, bytes: Uint8Array): Promise<void> {
  const peer = await Peer.connect(port);
  if (bytes.length > 0) await peer.write(bytes);
  peer.hangUp();
}

const RENAMES = 100;
/** Below the rate of 10 a second. */
const RENAME_EVERY_MS = 110;

async function rename(field: Field, i: number): Promise<void> {
  const peer = await Peer.upgrade(field.port, BUSY, V1);
  await peer.send(JSON.stringify({ type: "hello", history: 0 }));
  await peer.hear();
  const ended = peer.drain();
  for (let n = 1; n <= RENAMES; n++) {
    const name = `r${field.number(i)}-${n}-${field.dice.below(1e6)}`;
    if (!await peer.send(JSON.stringify({ type: "rename", name }))) break;
    field.count("renames");
    await pause(RENAME_EVERY_MS);
  }
  peer.hangUp();
  await ended;
}

/** About 60 KB in one system call, again and again. */
async function flood(
  field: Field,
  first: Uint8Array | [],
  one: Uint8Array,
  isDeaf = false,
): Promise<void> {
  const count = Math.ceil(60_000 / one.length);
  const many = new Uint8Array(count * one.length);
  for (let i = 0; i < count; i++) many.set(one, i * one.length);
  const write = async (peer: Peer) => {
    if (first.length > 0) await peer.write(Uint8Array.from(first));
    while (await peer.write(many)) field.count("frames", count);
  };
  await field.hold(field.size(4), async (_, opened) => {
    const peer = await Peer.upgrade(field.port, BUSY);
    opened();
    const written = write(peer);
    return isDeaf ? written : peer.drain();
  });
}

const STREAMS_AT_ONCE = 500;

async function rapidReset(field: Field): Promise<void> {
  const write = async (peer: Peer) => {
    await peer.write(http2.begin(65_535));
    for (let first = 1;; first += 2 * STREAMS_AT_ONCE) {
      const bytes: number[] = [];
      for (let i = 0; i < STREAMS_AT_ONCE; i++) {
        const id = first + 2 * i;
        bytes.push(...http2.get(id, "/asyncapi.json"), ...http2.reset(id));
      }
      if (!await peer.write(Uint8Array.from(bytes))) return;
      field.count("requests", STREAMS_AT_ONCE);
    }
  };
  await field.hold(field.size(4), async (_, opened) => {
    const peer = await Peer.connect(field.port);
    opened();
    write(peer);
    return peer.discard();
  });
}
