// @ts-check
// The addresses that the experiments connect to, and fresh rooms for them, in
// which nobody else is.

import { socketUrl } from "../shared/address.js";

export class Place {
  #base;
  #invitation;

  /**
   * @param {string} base the page's base address
   * @param {{ readonly code: string }} invitation "" if there is none
   */
  constructor(base, invitation) {
    this.#base = base;
    this.#invitation = invitation;
  }

  /** A room for one experiment, in which nobody of the class is disturbed. */
  freshRoom() {
    const number = Math.floor(Math.random() * 36 ** 6);
    return `learn-${number.toString(36).padStart(6, "0")}`;
  }

  /** @param {string} room */
  socket(room) {
    return socketUrl(this.#base, room, this.#invitation.code);
  }

  /**
   * An address beside the page, for the same room over HTTP.
   *
   * @param {"ws" | "events" | "messages"} path
   * @param {string} room
   * @param {Record<string, string>} parameters
   */
  http(path, room, parameters = {}) {
    const { code } = this.#invitation;
    const url = new URL(path, this.#base);
    const query = { room, ...(code !== "" && { invite: code }), ...parameters };
    url.search = String(new URLSearchParams(query));
    return url.href;
  }
}
