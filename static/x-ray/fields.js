// @ts-check
// The fields of a frame as RFC 6455 section 5.2 names them: their bits and
// their meaning. Bits that are not known are null, never guessed.

/** How much of the payload is drawn. */
const DRAWN_PAYLOAD_BYTES = 8;

/**
 * Derived from the payload and its direction; see chat/x_ray/recorder.ts.
 *
 * @typedef {object} Derived
 * @property {number} opcode
 * @property {string} header in hexadecimal, without the masking key
 * @property {7 | 16 | 64} lengthBits
 * @property {boolean} isMasked
 * @property {number} bytes of the whole frame
 */

/**
 * @typedef {object} Field
 * @property {string} name as in the RFC
 * @property {number} length in bits
 * @property {string | null} bits ones and zeros; null if unknown
 * @property {string} value
 * @property {string} meaning
 */

/** @type {Record<number, string>} RFC 6455 section 11.8 */
const OPCODES = {
  0: "continuation",
  1: "text",
  2: "binary",
  8: "close",
  9: "ping",
  10: "pong",
};

/**
 * @param {Derived} derived
 * @param {number} length of the payload, in bytes
 * @param {Uint8Array} payload its beginning
 * @returns {Field[]}
 */
export function fieldsOf(derived, length, payload) {
  const bits = toBits(fromHex(derived.header));
  const code = parseInt(bits.slice(9, 16), 2);
  const opcode = parseInt(bits.slice(4, 8), 2);
  /** @type {Field[]} */
  const fields = [
    field("FIN", bits.slice(0, 1), "this frame ends the message"),
    ...[1, 2, 3].map((i) =>
      field(
        `RSV${i}`,
        bits.slice(i, i + 1),
        "client and server agreed on no extension",
      )
    ),
    {
      ...field("opcode", bits.slice(4, 8), OPCODES[opcode] ?? "reserved"),
      value: `0x${opcode.toString(16)}`,
    },
    field(
      "MASK",
      bits.slice(8, 9),
      derived.isMasked
        ? "masked, like every frame from a client"
        : "not masked, like every frame from a server",
    ),
    {
      ...field("Payload len", bits.slice(9, 16), lengthMeaning(code)),
      value: String(code),
    },
  ];
  if (derived.lengthBits > 7) {
    fields.push({
      ...field(
        "Extended payload length",
        bits.slice(16),
        `in ${derived.lengthBits} bits, the most significant first`,
      ),
      value: String(length),
    });
  }
  if (derived.isMasked) {
    fields.push({
      name: "Masking-key",
      length: 32,
      bits: null,
      value: "unknown",
      meaning: "a new one for each frame, chosen by the client; " +
        "the server’s API does not show it",
    });
  }
  if (length > 0) fields.push(payloadField(derived, length, payload));
  return fields;
}

/**
 * @param {Derived} derived
 * @param {number} length
 * @param {Uint8Array} payload
 * @returns {Field}
 */
function payloadField({ isMasked }, length, payload) {
  const drawn = Math.min(length, payload.length, DRAWN_PAYLOAD_BYTES);
  const rest = length > drawn ? `; the first ${drawn} are drawn` : "";
  return {
    name: "Payload data",
    length: drawn * 8,
    bits: isMasked ? null : toBits(payload.subarray(0, drawn)),
    value: `${length} ${length === 1 ? "byte" : "bytes"}`,
    meaning: isMasked
      ? "each byte travels XORed with one byte of the masking key" + rest
      : `travels as it is${rest}`,
  };
}

/**
 * @param {string} name
 * @param {string} bits
 * @param {string} meaning
 * @returns {Field}
 */
function field(name, bits, meaning) {
  return { name, length: bits.length, bits, value: bits, meaning };
}

/** @param {number} code */
function lengthMeaning(code) {
  if (code < 126) return "the length itself, in bytes";
  return `the length is in the next ${code === 126 ? 16 : 64} bits`;
}

/** @param {Uint8Array} bytes */
function toBits(bytes) {
  return [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
}

/** @param {string} hex */
export function fromHex(hex) {
  const pairs = hex.match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => parseInt(pair, 16));
}
