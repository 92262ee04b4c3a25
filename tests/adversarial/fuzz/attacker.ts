// A bad client's connection: it plays a script, reads what comes back and judges
// it. Whatever was written, what follows a 101 must be whole frames, and the
// text in them must be events in JSON.
import { Opcode } from "../../../chat/check/frames.ts";
import { readFrames } from "../../support/frame_stream.ts";
import { pause, soon } from "../../support/harness.ts";
import type { Script, Segment } from "./script.ts";

/** How long the server may keep a connection that the client has finished. */
const FINISH_DEADLINE_MS = 15_000;

/** Of what it is sent, a client keeps no more than this to judge it. */
const MAX_KEPT_BYTES = 1024 * 1024;

/** Whether a connection became a WebSocket, and whether the server ended it. */
export interface Outcome {
  isUpgraded: boolean;
  isCut: boolean;
}

/** Plays a script. Rejects when the server sends what it must not. */
export async function attack(port: number, script: Script): Promise<Outcome> {
  const tcp = await Deno.connect({ hostname: "127.0.0.1", port });
  tcp.setNoDelay();
  const { segments, isReader, end, lingerMs } = script;
  const reader = new Reader(tcp);
  if (isReader) reader.start();
  try {
    await writeAll(tcp, segments);
    if (end === "finish" && isReader) {
      await tcp.closeWrite().catch(() => {});
      await soon(reader.ended, "the server to hang up", FINISH_DEADLINE_MS);
    } else if (end !== "hang up") {
      await pause(lingerMs);
    }
  } finally {
    tcp.close();
  }
  const isCut = reader.isAtEnd;
  await reader.ended;
  return { isUpgraded: judge(reader.bytes), isCut };
}

async function writeAll(tcp: Deno.TcpConn, segments: readonly Segment[]) {
  try {
    for (const { bytes, pauseMs } of segments) {
      let rest = bytes;
      while (rest.length > 0) {
        rest = rest.subarray(await tcp.write(rest));
      }
      if (pauseMs > 0) await pause(pauseMs);
    }
  } catch {
    // The server hung up, as it may.
  }
}

class Reader {
  ended = Promise.resolve();
  isAtEnd = false;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(private readonly tcp: Deno.TcpConn) {}

  get bytes(): Uint8Array {
    const bytes = new Uint8Array(this.#bytes);
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  start(): void {
    this.ended = this.#read();
  }

  async #read(): Promise<void> {
    while (true) {
      const chunk = new Uint8Array(16_384);
      // A reset is an end, and so is hanging up oneself.
      const read = await this.tcp.read(chunk).catch(() => null);
      if (read === null) break;
      if (this.#bytes + read > MAX_KEPT_BYTES) continue;
      this.#chunks.push(chunk.subarray(0, read));
      this.#bytes += read;
    }
    this.isAtEnd = true;
  }
}

/** Whether these bytes are a WebSocket's; throws if they are a bad one's. */
export function judge(bytes: Uint8Array): boolean {
  const start = new TextDecoder().decode(bytes.subarray(0, 4_096));
  const headChars = start.indexOf("\r\n\r\n") + 4;
  if (!start.startsWith("HTTP/1.1 101 ") || headChars < 4) return false;
  const isV1 = /^sec-websocket-protocol: partyline\.v1\r$/im
    .test(start.slice(0, headChars));
  // The last frame may be missing its end: the client hung up.
  readFrames(bytes.subarray(headChars), (opcode, payload) => {
    judgeFrame(opcode, payload, isV1);
  });
  return true;
}

function judgeFrame(opcode: number, payload: Uint8Array, isV1: boolean): void {
  if ([Opcode.close, Opcode.ping, Opcode.pong].some((one) => one === opcode)) {
    return;
  }
  if (opcode !== Opcode.text) throw new Error(`it was sent opcode ${opcode}`);
  const text = new TextDecoder("utf-8", { fatal: true }).decode(payload);
  const value = JSON.parse(text);
  const isRight = isV1
    ? Array.isArray(value) &&
      value.every(({ type }) => typeof type === "string")
    : typeof value.sender === "string" && typeof value.message === "string";
  if (!isRight) throw new Error(`it was sent ${text.slice(0, 200)}`);
}
