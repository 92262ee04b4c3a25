// @ts-check
// Reads the little markup that a message may have: code, emphasis, lists,
// quotes and links. A mark that is not closed, or not understood, stays text.
// The text is read once from the start to the end, so that the cost grows with
// its length. The result is plain data; rich_text.js makes elements of it.

/**
 * A part of a line of text. A link is shown as its own address, so that nobody
 * is led elsewhere than they read.
 *
 * @typedef {{ kind: "text", text: string }
 *   | { kind: "code", text: string }
 *   | { kind: "link", text: string }
 *   | { kind: "strong" | "emphasis", parts: Inline[] }} Inline
 */

/**
 * `first` is the number of a list's first item; null for a list with bullets.
 * `language` is the word after the fence, or "".
 *
 * @typedef {{ kind: "paragraph" | "quote", parts: Inline[] }
 *   | { kind: "code", text: string, language: string }
 *   | { kind: "list", first: number | null, items: Inline[][] }} Block
 */

const FENCE = "```";
const MAX_LINK_CHARS = 2_048;
// Longer rows of backticks are text; each length costs a look at the line.
const MAX_TICKS = 3;

/**
 * The blocks of a message, in their order. A message without any markup is one
 * paragraph with one text.
 *
 * @param {string} message
 * @returns {Block[]}
 */
export function parseMarkup(message) {
  const lines = message.split("\n");
  const lastFence = lines.findLastIndex(isClosingFence);
  /** @type {Block[]} */
  const blocks = [];
  for (let at = 0; at < lines.length;) {
    const kind = kindOf(lines, at, lastFence);
    const end = endOf(kind, lines, at, lastFence);
    blocks.push(createBlock(kind, lines.slice(at, end)));
    at = end;
  }
  // Blank lines around a block are only there to set it apart.
  return blocks.length > 1 ? blocks.filter((it) => !isBlank(it)) : blocks;
}

/** @param {Block} block */
function isBlank(block) {
  return block.kind === "paragraph" &&
    block.parts.every((part) => part.kind === "text" && !part.text.trim());
}

/** @typedef {Block["kind"] | "numbers"} Kind */

/**
 * @param {string[]} lines
 * @param {number} at
 * @param {number} lastFence the last line that can close a block of code
 * @returns {Kind}
 */
function kindOf(lines, at, lastFence) {
  const line = lines[at] ?? "";
  if (isOpeningFence(line) && at < lastFence) return "code";
  if (line.startsWith("> ")) return "quote";
  if (line.startsWith("- ") || line.startsWith("* ")) return "list";
  return numberOf(line) === null ? "paragraph" : "numbers";
}

/**
 * The line after the block that begins at `at`.
 *
 * @param {Kind} kind
 * @param {string[]} lines
 * @param {number} at
 * @param {number} lastFence
 */
function endOf(kind, lines, at, lastFence) {
  let end = at + 1;
  if (kind === "code") {
    while (!isClosingFence(lines[end] ?? "")) end++;
    return end + 1;
  }
  while (end < lines.length && kindOf(lines, end, lastFence) === kind) end++;
  return end;
}

/**
 * @param {Kind} kind
 * @param {string[]} lines
 * @returns {Block}
 */
function createBlock(kind, lines) {
  const [first = ""] = lines;
  switch (kind) {
    case "code":
      return {
        kind,
        text: lines.slice(1, -1).join("\n"),
        language: first.slice(FENCE.length).trim(),
      };
    case "quote":
      return { kind, parts: parseInline(withoutMarks(lines).join("\n")) };
    case "list":
    case "numbers": {
      const items = withoutMarks(lines).map(parseInline);
      return { kind: "list", first: numberOf(first), items };
    }
    case "paragraph":
      return { kind, parts: parseInline(lines.join("\n")) };
  }
}

/**
 * The mark of a quote or of an item ends at the first space.
 *
 * @param {string[]} lines
 */
function withoutMarks(lines) {
  return lines.map((line) => line.slice(line.indexOf(" ") + 1));
}

/**
 * Whether a block of code begins. A language may follow, as in ```js.
 *
 * @param {string} line
 */
function isOpeningFence(line) {
  return /^```[\w+#.-]{0,20}\s*$/.test(line);
}

/** @param {string} line */
function isClosingFence(line) {
  return line.trimEnd() === FENCE;
}

/**
 * The number at the start of "12. text"; null if there is none.
 *
 * @param {string} line
 */
function numberOf(line) {
  // A longer number would stand outside of the text's column.
  const number = /^(\d{1,3})\. /.exec(line)?.[1];
  return number === undefined ? null : Number(number);
}

/**
 * @param {string} text
 * @returns {Inline[]}
 */
function parseInline(text) {
  return new InlineReader(text).read();
}

/** An emphasis that began, and may be closed before the line ends. */
class Opening {
  /**
   * @param {string} mark
   * @param {number} place in the parts: its mark, as text
   */
  constructor(mark, place) {
    this.mark = mark;
    this.place = place;
  }
}

class InlineReader {
  #text;
  #at = 0;
  /** @type {Inline[]} */
  #parts = [];
  /** @type {Opening[]} at most one of each mark */
  #openings = [];
  /** By length: up to this place no row of so many backticks comes again. */
  #noTicksUntil = new Array(MAX_TICKS + 1).fill(0);

  /** @param {string} text */
  constructor(text) {
    this.#text = text;
  }

  read() {
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at];
      if (character === "\n") this.#openings = [];
      const isRead = character === "`"
        ? this.#readCode()
        : character === "h"
        ? this.#readLink()
        : (character === "*" || character === "_") && this.#readMark();
      if (!isRead) this.#readText();
    }
    return this.#parts;
  }

  /** Text up to the next character that may mean something. */
  #readText() {
    let end = this.#at + 1;
    while (
      end < this.#text.length && !"`h*_\n".includes(this.#text[end] ?? "")
    ) {
      end++;
    }
    this.#addText(this.#text.slice(this.#at, end));
    this.#at = end;
  }

  /** @param {string} text */
  #addText(text) {
    const last = this.#parts.at(-1);
    // The mark of an opening stays a part of its own until that is closed.
    const isMark = this.#openings.at(-1)?.place === this.#parts.length - 1;
    if (last?.kind === "text" && !isMark) last.text += text;
    else this.#parts.push({ kind: "text", text });
  }

  #readCode() {
    const length = this.#countFrom(this.#at, "`");
    const start = this.#at + length;
    const end = length > MAX_TICKS ? -1 : this.#findTicks(length, start);
    if (end < 0) {
      this.#addText("`".repeat(length));
      this.#at = start;
      return true;
    }
    this.#parts.push({ kind: "code", text: this.#text.slice(start, end) });
    this.#at = end + length;
    return true;
  }

  /**
   * Where a row of exactly `length` backticks begins in this line; -1 if it
   * does not come.
   *
   * @param {number} length
   * @param {number} from
   */
  #findTicks(length, from) {
    if (from < this.#noTicksUntil[length]) return -1;
    let at = from;
    while (at < this.#text.length && this.#text[at] !== "\n") {
      const found = this.#countFrom(at, "`");
      if (found === length) return at;
      at += Math.max(1, found);
    }
    this.#noTicksUntil[length] = at;
    return -1;
  }

  /**
   * @param {number} from
   * @param {string} character
   */
  #countFrom(from, character) {
    let end = from;
    while (this.#text[end] === character) end++;
    return end - from;
  }

  #readLink() {
    const text = this.#text;
    const isStart = text.startsWith("http://", this.#at) ||
      text.startsWith("https://", this.#at);
    if (!isStart || isWordCharacter(text[this.#at - 1])) return false;
    let end = this.#at;
    while (end < text.length && isLinkCharacter(text[end] ?? "")) end++;
    const address = withoutPunctuation(text.slice(this.#at, end));
    if (address.length > MAX_LINK_CHARS || !readsAsItLeads(address)) {
      // So that none of its letters is looked at again.
      this.#addText(text.slice(this.#at, end));
      this.#at = end;
      return true;
    }
    this.#parts.push({ kind: "link", text: address });
    this.#at += address.length;
    return true;
  }

  /** Emphasis opens before a word, and closes behind one. */
  #readMark() {
    const text = this.#text;
    const length = this.#countFrom(this.#at, text[this.#at] ?? "");
    const mark = text.slice(this.#at, this.#at + length);
    if (mark === "*" || mark === "**" || mark === "_") {
      const before = text[this.#at - 1];
      const after = text[this.#at + length];
      const opening = this.#openings.findIndex((it) => it.mark === mark);
      if (opening >= 0 && !isSpace(before) && !isWordCharacter(after)) {
        this.#close(opening);
      } else {
        const opens = !isSpace(after) && !isWordCharacter(before);
        this.#parts.push({ kind: "text", text: mark });
        if (opens && opening < 0) {
          this.#openings.push(new Opening(mark, this.#parts.length - 1));
        }
      }
    } else this.#addText(mark);
    this.#at += length;
    return true;
  }

  /** @param {number} index of the opening; openings within it stay text */
  #close(index) {
    const [opening] = this.#openings.splice(index);
    if (opening === undefined) return;
    const [, ...parts] = this.#parts.splice(opening.place);
    const kind = opening.mark === "**" ? "strong" : "emphasis";
    this.#parts.push({ kind, parts });
  }
}

/** @param {string | undefined} character */
function isSpace(character) {
  return character === undefined || /\s/.test(character);
}

/** @param {string | undefined} character */
function isWordCharacter(character) {
  return character !== undefined && /[\p{L}\p{N}_]/u.test(character);
}

/**
 * Whether a person who reads the address knows where it leads: its host is in
 * plain letters and digits, nothing before the host looks like one, and no
 * character is unseen or turns the direction of the text.
 *
 * @param {string} address
 */
function readsAsItLeads(address) {
  if (/[\p{Cf}\p{Default_Ignorable_Code_Point}]/u.test(address)) return false;
  const [, host = ""] = /^https?:\/\/([^/?#]*)/.exec(address) ?? [];
  return /^[a-zA-Z0-9.:[\]-]+$/.test(host) && URL.canParse(address);
}

/** @param {string} character */
function isLinkCharacter(character) {
  return !isSpace(character) && !'<>"`'.includes(character);
}

/**
 * An address without the punctuation of the sentence around it: a closing
 * bracket stays only where one was opened in the address.
 *
 * @param {string} address
 */
function withoutPunctuation(address) {
  let open = 0;
  for (const character of address) {
    if (character === "(") open++;
    if (character === ")") open--;
  }
  let end = address.length;
  for (; end > 0; end--) {
    const last = address[end - 1] ?? "";
    if (last === ")" && open < 0) open++;
    else if (!".,;:!?'*_]}".includes(last)) break;
  }
  return address.slice(0, end);
}
