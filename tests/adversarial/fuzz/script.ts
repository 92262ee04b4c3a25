// What a bad client does, as bytes: a good session of either dialect, or
// requests for files, broken in places that the dice choose. The seed and a
// number decide every byte and how the bytes are cut into segments, so that a
// failure can be repeated.
import { SUBPROTOCOL } from "../../../chat/protocol/requests.ts";
import { frame, Opcode } from "../../../chat/check/frames.ts";
import { Dice } from "../../stress/dice.ts";
import { breakBytes, breakList, breakText, join } from "./breaking.ts";
import { makeText, makeValue } from "./words.ts";

/** One write, and how long to wait after it. */
export interface Segment {
  bytes: Uint8Array;
  pauseMs: number;
}

export interface Script {
  segments: readonly Segment[];
  /** Whether it reads what it is sent. */
  isReader: boolean;
  /** Hang up at once, say that it will write no more, or linger a while. */
  end: "hang up" | "finish" | "linger";
  lingerMs: number;
}

/** Where all bystanders are, and half of the bad clients. */
export const ROOM = "lobby";

const MAX_FRAMES = 24;

/** How often a frame, a payload, a field or a header is broken as such. */
const SHARES = [0, 0.01, 0.04, 0.2];
/** How often the bytes are broken wherever they are. */
const BYTES_SHARE = 0.25;
/** Of those, how often the handshake may be hit too. */
const HEAD_SHARE = 0.2;

export function makeScript(seed: number, number: number): Script {
  const dice = new Dice(seed, number);
  const kind = dice.choose({ plain: 4, v1: 6, http: 1 });
  const share = dice.pick(SHARES) ?? 0;
  const head = kind === "http" ? "" : makeHandshake(dice, share, kind);
  const body = kind === "http"
    ? makeRequests(dice, share)
    : makeFrames(dice, share, kind);
  const isHit = dice.chance(BYTES_SHARE);
  const bytes = isHit && dice.chance(HEAD_SHARE)
    ? breakBytes(dice, join([latin1(head), body]))
    : join([latin1(head), isHit ? breakBytes(dice, body) : body]);
  return {
    segments: cutIntoSegments(dice, bytes, head.length),
    isReader: dice.chance(0.95),
    end: dice.choose({ "hang up": 2, finish: 3, linger: 3 }),
    lingerMs: dice.between(1, 100),
  };
}

function makeHandshake(dice: Dice, share: number, kind: "plain" | "v1") {
  const room = dice.chance(0.5) ? ROOM : dice.pick(["a", "b", "-", "0"]);
  const lines = breakList(dice, share / 8, [
    `GET /ws?room=${room} HTTP/1.1`,
    "Host: a",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    ...(kind === "v1" ? [`Sec-WebSocket-Protocol: ${SUBPROTOCOL}`] : []),
    ...(dice.chance(share) ? [makeHeader(dice)] : []),
  ], (line) => breakText(dice, line));
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function makeHeader(dice: Dice): string {
  const name = dice.pick([
    ...["Content-Length", "Transfer-Encoding", "Expect", "Origin", "Cookie"],
    ...["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Host", "X"],
  ]);
  const value = dice.pick([
    ...["0", "5", "chunked", "100-continue", "http://a", "null", ""],
    ...["permessage-deflate", "soap", "x".repeat(dice.below(10_000))],
  ]);
  return `${name}: ${value}`;
}

function makeRequests(dice: Dice, share: number): Uint8Array {
  const requests = Array.from({ length: dice.between(1, 6) }, () => {
    const method = dice.choose({ GET: 8, HEAD: 2, POST: 1, "": 0.1, PRI: 0.2 });
    const path = dice.pick([
      "/",
      "/shared/base.css",
      "/ws",
      "/chat/app.js",
      "/%",
      "*",
    ]);
    const lines = breakList(dice, share / 4, [
      `${method} ${path} HTTP/1.${dice.choose({ "1": 9, "0": 1, "2": 0.2 })}`,
      "Host: a",
      ...(dice.chance(0.3) ? [makeHeader(dice)] : []),
    ], (line) => breakText(dice, line));
    return latin1(`${lines.join("\r\n")}\r\n\r\n`);
  });
  return join(requests);
}

function makeFrames(
  dice: Dice,
  share: number,
  kind: "plain" | "v1",
): Uint8Array {
  const frames: Uint8Array[] = [];
  if (kind === "v1" && dice.chance(0.95)) {
    frames.push(frame(Opcode.text, JSON.stringify(makeHello(dice, share))));
  }
  for (let left = dice.below(MAX_FRAMES); left > 0; left--) {
    frames.push(...makeMessage(dice, share, kind));
  }
  if (dice.chance(0.3)) {
    const code = dice.pick([1000, 1001, 1005, 3000, 4999, 5000, 0]) ?? 1000;
    const bytes = new TextEncoder().encode(makeText(dice).slice(0, 40));
    frames.push(
      frame(Opcode.close, Uint8Array.of(code >> 8, code & 255, ...bytes)),
    );
  }
  return join(
    breakList(dice, share / 2, frames, (one) => breakBytes(dice, one)),
  );
}

/** A message or a request in one frame or more, or a control frame. */
function makeMessage(
  dice: Dice,
  share: number,
  kind: "plain" | "v1",
): Uint8Array[] {
  const mask = Array.from({ length: 4 }, () => dice.below(256));
  switch (dice.choose({ whole: 10, cut: 2, ping: 1, pong: 0.3, odd: share })) {
    case "whole":
      return [frame(Opcode.text, makePayload(dice, share, kind), { mask })];
    case "cut": {
      const payload = makePayload(dice, share, kind);
      const at = dice.below(payload.length + 1);
      return [
        frame(Opcode.text, payload.subarray(0, at), { fin: false, mask }),
        ...(dice.chance(0.3) ? [frame(Opcode.ping, "between")] : []),
        frame(Opcode.continuation, payload.subarray(at), { mask }),
      ];
    }
    case "ping":
      return [frame(Opcode.ping, "x".repeat(dice.below(126)))];
    case "pong":
      return [frame(Opcode.pong, "x".repeat(dice.below(130)))];
    case "odd":
      return [
        frame(dice.below(16), makePayload(dice, share, kind), {
          fin: dice.chance(0.7),
          reserved: dice.chance(0.5) ? dice.below(8) : 0,
          masked: dice.chance(0.7),
          mask,
          lengthBytes: dice.pick([2, 8] as const) ?? 8,
        }),
      ];
  }
}

function makePayload(
  dice: Dice,
  share: number,
  kind: "plain" | "v1",
): Uint8Array {
  const words = kind === "plain"
    ? makeText(dice)
    : JSON.stringify(makeRequest(dice, share));
  const text = dice.chance(share) ? breakText(dice, words) : words;
  const bytes = new TextEncoder().encode(text);
  return dice.chance(share / 2) ? breakBytes(dice, bytes) : bytes;
}

function makeHello(dice: Dice, share: number): Record<string, unknown> {
  const hello: Record<string, unknown> = { type: "hello" };
  if (dice.chance(0.4)) hello.name = makeText(dice).slice(0, dice.below(30));
  if (dice.chance(0.2)) hello.key = makeText(dice);
  if (dice.chance(0.2)) {
    hello.since = { epoch: makeText(dice), seq: dice.below(1_000) };
  }
  if (dice.chance(0.8)) hello.history = dice.below(20);
  return dice.chance(share) ? oddly(dice, hello) : hello;
}

function makeRequest(dice: Dice, share: number): Record<string, unknown> {
  const type = dice.choose({
    message: 10,
    rename: 2,
    typing: 2,
    ping: 2,
    history: 1,
    search: 1,
    delete: 1,
    rooms: 0.3,
    hello: 0.3,
  });
  const request = {
    type,
    ...(type === "message" && { message: makeText(dice) }),
    ...(type !== "hello" && { id: `${dice.below(8)}` }),
    ...(type === "rename" && { name: makeText(dice).slice(0, 24) }),
    ...(type === "history" && { before: dice.below(1_000), count: 5 }),
    ...(type === "delete" && { seq: dice.below(50) }),
    ...(type === "search" && { text: makeText(dice).slice(0, 120) }),
  };
  return dice.chance(share) ? oddly(dice, request) : request;
}

/** With a field that has any value. */
function oddly(dice: Dice, request: Record<string, unknown>) {
  const field = dice.pick([
    ...["type", "message", "id", "name", "before", "count", "key", "since"],
    ...["history", "text", "replyTo", "__proto__", "constructor", "toJSON"],
  ]) ?? "type";
  return Object.defineProperty({ ...request }, field, {
    value: makeValue(dice),
    enumerable: true,
  });
}

/** As TCP may cut it; sometimes the client waits for its upgrade, or does not. */
function cutIntoSegments(
  dice: Dice,
  bytes: Uint8Array,
  headBytes: number,
): Segment[] {
  const cuts = new Set([bytes.length]);
  if (dice.chance(0.7)) cuts.add(Math.min(headBytes, bytes.length));
  for (let left = dice.below(6); left > 0; left--) {
    cuts.add(dice.below(bytes.length + 1));
  }
  const isByByte = dice.chance(0.03);
  if (isByByte) { for (let at = 0; at < 400; at++) cuts.add(at); }
  const sorted = [...cuts].filter((at) => at <= bytes.length)
    .sort((a, b) => a - b);
  return sorted.map((to, i) => ({
    bytes: bytes.subarray(sorted[i - 1] ?? 0, to),
    pauseMs: isByByte || dice.chance(0.5) ? 0 : dice.below(8),
  }));
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
