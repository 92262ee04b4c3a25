// @ts-check
// Computes Sec-WebSocket-Accept from a key, with a SHA-1 of its own (RFC 6455
// section 4.2.2): browsers have crypto.subtle only on https and localhost.
// SHA-1 is no longer safe for secrets, and is not used for any here.

/** Every server appends this to a key before the digest. */
export const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/**
 * `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`.
 *
 * @param {string} key
 */
export function acceptOf(key) {
  return base64(sha1(new TextEncoder().encode(key + GUID)));
}

/**
 * Whether this can be a key: 16 bytes in base64.
 *
 * @param {string} key
 */
export function isKey(key) {
  return /^[A-Za-z0-9+/]{21}[AQgw]==$/.test(key);
}

/** A key as a browser makes one: 16 random bytes. */
export function newKey() {
  return base64(crypto.getRandomValues(new Uint8Array(16)));
}

/** @param {Uint8Array} bytes */
export function hex(bytes) {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** @param {Uint8Array} bytes */
export function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

/**
 * The digest of 20 bytes (FIPS 180-4 section 6.1).
 *
 * @param {Uint8Array} message
 */
export function sha1(message) {
  const state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  const padded = pad(message);
  for (let at = 0; at < padded.byteLength; at += 64) {
    const words = expand(new DataView(padded.buffer, at, 64));
    const rounds = mix(words, state);
    for (let i = 0; i < 5; i++) {
      state[i] = ((state[i] ?? 0) + (rounds[i] ?? 0)) >>> 0;
    }
  }
  const digest = new DataView(new ArrayBuffer(20));
  state.forEach((word, i) => digest.setUint32(i * 4, word));
  return new Uint8Array(digest.buffer);
}

/**
 * The message, a one, zeros, and its length in bits: whole blocks of 64 bytes.
 *
 * @param {Uint8Array} message
 */
function pad(message) {
  const length = Math.ceil((message.length + 9) / 64) * 64;
  const padded = new Uint8Array(length);
  padded.set(message);
  padded[message.length] = 0x80;
  new DataView(padded.buffer).setUint32(length - 4, message.length * 8);
  return padded;
}

/** @param {DataView} block */
function expand(block) {
  const words = Array.from({ length: 16 }, (_, i) => block.getUint32(i * 4));
  const word = (/** @type {number} */ i) => words[i] ?? 0;
  for (let i = 16; i < 80; i++) {
    words.push(
      rotate(word(i - 3) ^ word(i - 8) ^ word(i - 14) ^ word(i - 16), 1),
    );
  }
  return words;
}

/**
 * @param {number[]} words
 * @param {number[]} state
 */
function mix(words, state) {
  let [a = 0, b = 0, c = 0, d = 0, e = 0] = state;
  words.forEach((word, i) => {
    const [f, constant] = i < 20
      ? [(b & c) | (~b & d), 0x5a827999]
      : i < 40
      ? [b ^ c ^ d, 0x6ed9eba1]
      : i < 60
      ? [(b & c) | (b & d) | (c & d), 0x8f1bbcdc]
      : [b ^ c ^ d, 0xca62c1d6];
    const next = (rotate(a, 5) + f + e + constant + word) >>> 0;
    [a, b, c, d, e] = [next, a, rotate(b, 30), c, d];
  });
  return [a, b, c, d, e];
}

/**
 * @param {number} word
 * @param {number} by
 */
function rotate(word, by) {
  return ((word << by) | (word >>> (32 - by))) >>> 0;
}
