// @ts-check
// Chooses the colour of each person. A name has the same colour on every screen,
// without anybody agreeing on it, unless somebody who was just speaking has one
// that looks like it: then the next colour that does not.

// Numbers of the .tone-N classes in parts.css, round the circle of hues.
const CIRCLE = [0, 1, 8, 2, 9, 3, 10, 4, 5, 11, 6, 7];
/** Places on the circle from which on two colours cannot be confused. */
const APART = 2;
/** So many people who spoke last must look different from somebody new. */
const RECENT = 4;

export class Tones {
  /** @type {Map<string, number>} places on the circle */
  #places = new Map();
  /** @type {string[]} the newest last */
  #recent = [];

  /**
   * The class that colours what this person says now.
   *
   * @param {string} name
   */
  of(name) {
    const place = this.#places.get(name) ?? this.#choose(name);
    this.#places.set(name, place);
    this.#recent = this.#recent.filter((it) => it !== name).slice(1 - RECENT);
    this.#recent.push(name);
    return `tone-${CIRCLE[place]}`;
  }

  /**
   * A person with a new name keeps the colour.
   *
   * @param {string} before
   * @param {string} name
   */
  rename(before, name) {
    const place = this.#places.get(before);
    if (place !== undefined) this.#places.set(name, place);
    this.#places.delete(before);
  }

  /** @param {string} name */
  #choose(name) {
    const first = hashOf(name) % CIRCLE.length;
    const others = this.#recent.map((it) => this.#places.get(it) ?? first);
    for (let i = 0; i < CIRCLE.length; i++) {
      const place = (first + i) % CIRCLE.length;
      if (others.every((other) => distance(place, other) >= APART)) {
        return place;
      }
    }
    return first;
  }
}

/**
 * @param {number} a
 * @param {number} b
 */
function distance(a, b) {
  const steps = Math.abs(a - b);
  return Math.min(steps, CIRCLE.length - steps);
}

/**
 * A 32-bit FNV-1a hash.
 *
 * @param {string} name
 */
function hashOf(name) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) {
    hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}
