// @ts-check
// The rooms with people in them, where the server tells them. They are asked
// for whenever the panel is opened.

/** @import { Rooms } from "../client/protocol.js" */

/**
 * @typedef {object} Parts
 * @property {HTMLElement} panel
 * @property {HTMLElement} section hidden where the server does not tell
 * @property {HTMLElement} list
 * @property {HTMLElement} more shown when there are further rooms
 */

export class RoomList {
  #parts;

  /**
   * @param {Parts} parts
   * @param {() => void} ask
   */
  constructor(parts, ask) {
    this.#parts = parts;
    parts.panel.addEventListener("toggle", (event) => {
      const { newState } = /** @type {ToggleEvent} */ (event);
      if (newState === "open" && !parts.section.hidden) ask();
    });
  }

  /** @param {boolean} isTold whether the server tells the rooms */
  show(isTold) {
    this.#parts.section.hidden = !isTold;
  }

  /** @param {Rooms} event */
  answered({ rooms, more }) {
    this.#parts.list.replaceChildren(...rooms.map(createRoom));
    this.#parts.more.hidden = !more;
  }
}

/** @param {Rooms["rooms"][number]} room */
function createRoom({ name, count }) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `./?room=${encodeURIComponent(name)}`;
  link.textContent = name;
  item.append(link, ` ${count} ${count === 1 ? "person" : "people"}`);
  return item;
}
