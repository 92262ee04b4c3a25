// @ts-check
// Chooses the colour of each person. A name has the same colour on every
// screen, without anybody agreeing on it. Only if somebody who was just
// speaking has a colour that looks like it, the name gets the next colour that
// does not. Two people who had the same name, one after the other, have
// different colours.

// Numbers of the .tone-N classes in parts.css, round the circle of hues.
const CIRCLE = [0, 1, 8, 2, 9, 3, 10, 4, 5, 11, 6, 7];
/** Two colours so many places apart on the circle cannot be confused. */
const APART = 2;
/** So many people who spoke last must look different from somebody new. */
const RECENT = 4;

export class Tones {
  /** @type {Map<string, number>} places on the circle, by the person */
  #places = new Map();
  /** @type {string[]} people, the newest last */
  #recent = [];
  /** @type {Map<string, string>} by name: its first message's author */
  #firstOf = new Map();

  /**
   * The class that colours what this person says now.
   *
   * @param {string} name
   * @param {string | null} author the person; without it the name tells
   */
  of(name, author = null) {
    const person = author ?? name;
    if (author !== null && !this.#firstOf.has(name)) {
      this.#firstOf.set(name, author);
    }
    const place = this.#places.get(person) ?? this.#choose(name);
    this.#places.set(person, place);
    this.#recent = this.#recent.filter((it) => it !== person)
      .slice(1 - RECENT);
    this.#recent.push(person);
    return `tone-${CIRCLE[place]}`;
  }

  /**
   * Whether somebody else with messages here had this name, too. False if there
   * is no author, as from an older server.
   *
   * @param {string} name
   * @param {string | null} author
   */
  isNamesake(name, author) {
    return author !== null && this.#firstOf.get(name) !== author;
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
    const namesake = this.#firstOf.get(name) ?? name;
    const others = [...this.#recent, namesake]
      .map((it) => this.#places.get(it))
      .filter((place) => place !== undefined);
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
