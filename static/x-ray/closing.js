// @ts-check
// The words for the end of a connection.

/**
 * The end of a connection as chat/x_ray/recorder.ts tells it.
 *
 * @typedef {object} End
 * @property {"client" | "server" | "nobody"} by
 * @property {number} code 0 if the connection was lost
 * @property {string} reason
 * @property {string} fault as Deno tells it; "" if there was none
 */

export const ENDINGS = {
  client: "The client closed",
  server: "The server closed",
  nobody: "The connection was lost",
};

/** @param {{ code: number, reason: string }} close */
export function codeWords({ code, reason }) {
  return reason === "" ? `Code ${code}` : `Code ${code} “${reason}”`;
}
