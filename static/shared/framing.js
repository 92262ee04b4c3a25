// @ts-check
// Calculates what a frame costs on the wire (RFC 6455 section 5.2), because a
// browser hides the frames themselves.

/**
 * Bytes of a frame's header. A client's frames are masked, a server's not.
 *
 * @param {number} payloadBytes
 * @param {boolean} isMasked
 */
export function frameHeaderBytes(payloadBytes, isMasked) {
  const lengthBytes = payloadBytes < 126 ? 0 : payloadBytes < 65_536 ? 2 : 8;
  return 2 + lengthBytes + (isMasked ? 4 : 0);
}

/** @param {string} text */
export function utf8Bytes(text) {
  return new TextEncoder().encode(text).length;
}
