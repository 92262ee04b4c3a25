// @ts-check
// Keeps the page's memory from one load to the next, and checks the values that
// it reads. Any script of this origin, another version or a person may have
// written them, so a value of another shape is dropped as if it had never been
// kept. Where storage is switched off or full, the page works until it is left.
// Servers that share an origin under different paths share nothing here.

/** The part of the browser's Storage that is used here. */
/** @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Store */

/**
 * An identity of this browser. `holder`: the page that has it now, or "" if
 * it was given up.
 *
 * @typedef {{ key: string, name: string, holder: string }} KeptIdentity
 */

/**
 * A message that is not known to be stored by the server. `problem`: the
 * server's last word on it. `isRefused`: it will not be sent again.
 *
 * @typedef {object} KeptMessage
 * @property {string} id
 * @property {string} text
 * @property {string | null} problem
 * @property {boolean} isRefused
 * @property {number} [replyTo] the seq of the message that it answers
 */

/**
 * How long each message of one way took in the lab's last run.
 *
 * @typedef {{ way: string, latenciesMs: number[] }} KeptLatencies
 */

/**
 * The results of one way in a run of the lab. `framingBytes`: headers and
 * framing for each message in the room.
 *
 * @typedef {object} KeptWay
 * @property {string} way
 * @property {number} medianMs
 * @property {number} slowestMs
 * @property {number} framingBytes
 */

/**
 * An earlier run of the lab, with its settings.
 *
 * @typedef {object} KeptRun
 * @property {number} count of messages
 * @property {number} pace as a multiple of the usual pauses
 * @property {number} lagMs
 * @property {number} talkers
 * @property {KeptWay[]} ways
 */

/**
 * One of the last frames of a connection, with the code that ended it, for the
 * page that explains the code.
 *
 * @typedef {object} KeptFrame
 * @property {number} code
 * @property {number} at in milliseconds since 1970
 * @property {"in" | "out"} direction as the server sees it
 * @property {"text" | "binary" | "close"} kind
 * @property {number} length of the payload, in bytes
 * @property {string} start of the payload: as text, or in hexadecimal
 */

/**
 * The first choice that somebody made in a question of the lesson, from 0.
 *
 * @typedef {{ question: string, choice: number }} KeptAnswer
 */

// All of these are longer than any value that the page itself keeps. The server
// would refuse a value that is too long for it again and again.
const MAX_SECRET_LENGTH = 256;
const MAX_NAME_LENGTH = 64;
const MAX_ID_LENGTH = 64;
const MAX_TEXT_LENGTH = 1_000_000;
const MAX_ITEMS = 64;
const MAX_LATENCIES = 100;
const MAX_WAYS = 8;
const MAX_RUNS = 12;
const MAX_START_LENGTH = 400;

/**
 * Whether a text may be kept under a key: plain text, or a list as JSON. A key
 * may go on after a dot, as `draft.lobby` does.
 *
 * @type {Record<string, (text: string) => boolean>}
 */
const TEXTS = {
  key: isSecret,
  name: (text) => isShort(text, MAX_NAME_LENGTH),
  invite: isSecret,
  moderator: isSecret,
  draft: (text) => isShort(text, MAX_TEXT_LENGTH),
  "own-client-room": (text) => /^learn-[a-z0-9]{6}$/.test(text),
  notifications: (text) => text === "declined",
  "x-ray": (text) => text === "open" || text === "closed",
};

/**
 * @type {Record<"identities" | "outbox" | "lab" | "runs" | "answers" | "frames",
 *   (item: any) => boolean>}
 */
const ITEMS = {
  identities: (item) =>
    isSecret(item?.key) && item.key !== "" &&
    isShort(item.name, MAX_NAME_LENGTH) && isShort(item.holder, MAX_ID_LENGTH),
  outbox: (item) =>
    isShort(item?.id, MAX_ID_LENGTH) && item.id !== "" &&
    isShort(item.text, MAX_TEXT_LENGTH) && item.text !== "" &&
    (item.problem === null || isShort(item.problem, MAX_TEXT_LENGTH)) &&
    typeof item.isRefused === "boolean" &&
    (item.replyTo === undefined ||
      Number.isSafeInteger(item.replyTo) && item.replyTo > 0),
  lab: (item) =>
    isShort(item?.way, MAX_NAME_LENGTH) && Array.isArray(item.latenciesMs) &&
    item.latenciesMs.length > 0 && item.latenciesMs.length <= MAX_LATENCIES &&
    item.latenciesMs.every(Number.isFinite),
  runs: (item) =>
    [item?.count, item?.pace, item?.lagMs, item?.talkers]
      .every(Number.isSafeInteger) &&
    Array.isArray(item.ways) && item.ways.length > 0 &&
    item.ways.length <= MAX_WAYS && item.ways.every(isWay),
  frames: (item) =>
    Number.isInteger(item?.code) && item.code >= 1000 && item.code <= 4999 &&
    Number.isFinite(item.at) && Number.isSafeInteger(item.length) &&
    ["in", "out"].includes(item.direction) &&
    ["text", "binary", "close"].includes(item.kind) &&
    isShort(item.start, MAX_START_LENGTH),
  answers: (item) =>
    isShort(item?.question, MAX_ID_LENGTH) && Number.isInteger(item.choice) &&
    item.choice >= 0 && item.choice < MAX_ITEMS,
};

export class Memory {
  #store;
  #prefix;
  /** @type {Map<string, string>} texts that the browser did not take */
  #refused = new Map();

  /**
   * @param {Store | null} store
   * @param {string} path that the page is served from, as basePath gives it
   */
  constructor(store, path = "/") {
    this.#store = store;
    this.#prefix = path === "/" ? "partyline." : `partyline${path}.`;
  }

  /**
   * The text under this key; null if there is none of the right shape.
   *
   * @param {string} key
   * @returns {string | null}
   */
  get(key) {
    const text = this.#read(key);
    return text !== null && TEXTS[kindOf(key)]?.(text) ? text : null;
  }

  /**
   * @param {string} key
   * @param {string} text
   */
  set(key, text) {
    this.#refused.delete(key);
    try {
      if (this.#store === null) throw new Error("there is no storage");
      this.#store.setItem(this.#prefix + key, text);
    } catch {
      this.#refused.set(key, text);
      // An old value that stayed behind would be taken for the new one.
      this.#remove(this.#prefix + key);
    }
  }

  /** @returns {KeptIdentity[]} */
  get identities() {
    return this.#readList("identities", ITEMS.identities);
  }

  /** @param {KeptIdentity[]} identities */
  set identities(identities) {
    this.set("identities", JSON.stringify(identities));
  }

  /**
   * @param {string} room
   * @returns {KeptMessage[]}
   */
  getOutbox(room) {
    return this.#readList(`outbox.${room}`, ITEMS.outbox);
  }

  /**
   * @param {string} room
   * @param {KeptMessage[]} messages
   */
  setOutbox(room, messages) {
    this.set(`outbox.${room}`, JSON.stringify(messages));
  }

  /** @returns {KeptLatencies[]} of the lab's last whole run */
  get labRun() {
    return this.#readList("lab", ITEMS.lab);
  }

  /** @param {KeptLatencies[]} latencies */
  set labRun(latencies) {
    this.set("lab", JSON.stringify(latencies));
  }

  /** @returns {KeptRun[]} of the lab, the newest first */
  get labRuns() {
    return this.#readList("runs", ITEMS.runs);
  }

  /**
   * Keeps the newest MAX_RUNS.
   *
   * @param {KeptRun[]} runs the newest first
   */
  set labRuns(runs) {
    this.set("runs", JSON.stringify(runs.slice(0, MAX_RUNS)));
  }

  /** @returns {KeptFrame[]} the oldest first */
  get lastFrames() {
    return this.#readList("frames", ITEMS.frames);
  }

  /** @param {KeptFrame[]} frames */
  set lastFrames(frames) {
    this.set("frames", JSON.stringify(frames));
  }

  /** @returns {KeptAnswer[]} one for each question that was answered */
  get answers() {
    return this.#readList("answers", ITEMS.answers);
  }

  /** @param {KeptAnswer[]} answers */
  set answers(answers) {
    this.set("answers", JSON.stringify(answers));
  }

  /** Forgets everything that the page keeps here. */
  clear() {
    this.#refused.clear();
    for (const key of this.#keys()) {
      if (key.startsWith(this.#prefix)) this.#remove(key);
    }
  }

  /** @param {string} key */
  #read(key) {
    const refused = this.#refused.get(key);
    if (refused !== undefined) return refused;
    try {
      return this.#store?.getItem(this.#prefix + key) ?? null;
    } catch {
      return null;
    }
  }

  /**
   * The items that have the right shape.
   *
   * @param {string} key
   * @param {(item: any) => boolean} isRight
   */
  #readList(key, isRight) {
    try {
      const list = JSON.parse(this.#read(key) ?? "[]");
      return Array.isArray(list)
        ? list.filter(isRight).slice(0, MAX_ITEMS)
        : [];
    } catch {
      return [];
    }
  }

  #keys() {
    try {
      return Object.keys(this.#store ?? {});
    } catch {
      return [];
    }
  }

  /** @param {string} fullKey */
  #remove(fullKey) {
    try {
      this.#store?.removeItem(fullKey);
    } catch {
      // Nothing can be done; the texts in #refused are read first.
    }
  }
}

/** @param {string} key */
function kindOf(key) {
  return key.split(".", 1)[0] ?? "";
}

/** @param {any} way */
function isWay(way) {
  return isShort(way?.way, MAX_NAME_LENGTH) &&
    [way.medianMs, way.slowestMs, way.framingBytes].every(Number.isFinite);
}

/**
 * @param {unknown} text
 * @param {number} maxLength
 */
function isShort(text, maxLength) {
  return typeof text === "string" && text.length <= maxLength;
}

/**
 * A key or a code: it goes into a frame and into addresses.
 *
 * @param {unknown} text
 */
function isSecret(text) {
  return typeof text === "string" && text.length <= MAX_SECRET_LENGTH &&
    !/[\p{Cc}\p{Cs}]/u.test(text);
}

/**
 * This tab's memory, which survives a reload; a copy of the tab has it, too.
 *
 * @param {string} path that the page is served from
 */
export function tabMemory(path) {
  return new Memory(storeOf(() => sessionStorage), path);
}

/**
 * The memory that all tabs of this site share.
 *
 * @param {string} path that the page is served from
 */
export function sharedMemory(path) {
  return new Memory(storeOf(() => localStorage), path);
}

/**
 * Where cookies are blocked, looking at the storage is enough to throw.
 *
 * @param {() => Storage} find
 */
function storeOf(find) {
  try {
    return find();
  } catch {
    return null;
  }
}
