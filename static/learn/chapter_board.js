// @ts-check
// The chapter "Binary": connects the drawing board, and shows the bytes of the
// last frame beside the size of the same stroke as text.

import { byId } from "../shared/dom.js";
import { Batch } from "./batch.js";
import { Caller } from "./caller.js";
import { hex } from "./digest.js";
import { Easel } from "./easel.js";
import { Experiment } from "./experiment.js";
import { Pen } from "./pen.js";
import {
  COLOURS,
  costs,
  decode,
  encode,
  explain,
  MAX_COORDINATE,
} from "./stroke.js";
import { fill } from "./table.js";

/** @import { Place } from "./place.js" */
/** @import { Point, Stroke } from "./stroke.js" */

const SUBPROTOCOL = "partyline.draw.v1";
const MAX_SHOWN_GROUPS = 8;

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 * @param {string} room whose other learners see the strokes
 */
export function setUpBoard(place, onUninvited, room) {
  const experiment = new Experiment("board-try", onUninvited);
  const canvas = byId("board-canvas", HTMLCanvasElement);
  const easel = new Easel(canvas, experiment.part("pen", HTMLElement));
  const where = experiment.part("where", HTMLElement);
  const show = createDisplay(experiment);
  const colours = colourButtons(experiment.part("colours", HTMLElement));
  /** @type {WebSocket | null} */
  let socket = null;

  const batch = new Batch((points) => {
    const stroke = { colour: colours.chosen(), points };
    const bytes = encode(stroke);
    easel.add(stroke);
    socket?.send(bytes);
    show("sent", bytes, stroke);
  });
  const pen = new Pen(canvas, (event) => easel.pointAt(event), {
    down: (point) => batch.begin(point),
    move: (point) => batch.add(point),
    up: () => batch.flush(),
    place(point, isDown) {
      easel.placePen(point);
      where.textContent = describePen(point, isDown);
    },
  });

  experiment.on("run", async () => {
    if (socket !== null) return "You have a pen already.";
    const opened = await Caller.openSocket(place.socket(room), SUBPROTOCOL);
    socket = opened;
    opened.binaryType = "arraybuffer";
    opened.addEventListener("message", ({ data }) => {
      const stroke = decode(data);
      if (stroke === null) return;
      easel.add(stroke);
      show("received", new Uint8Array(data), stroke);
    });
    opened.addEventListener("close", ({ code, reason }) => {
      socket = null;
      hold(false);
      experiment.tell({
        sentence: `The server closed the board: ${code} ${reason}.`,
        code,
      });
    });
    hold(true);
    return `You have a pen. Everybody with a pen in the room “${room}” ` +
      "sees what you draw.";
  });
  canvas.addEventListener("click", () => {
    if (socket === null) experiment.tell("Press “Take a pen” first.");
  });
  experiment.onPress("clear", () => easel.clear());

  /** @param {boolean} isHeld */
  function hold(isHeld) {
    pen.lift();
    pen.isHeld = isHeld;
    canvas.classList.toggle("held", isHeld);
  }
}

/**
 * @param {Point} point
 * @param {boolean} isDown
 */
function describePen([x, y], isDown) {
  const percent = (/** @type {number} */ part) =>
    `${Math.round(100 * part / MAX_COORDINATE)} %`;
  return `Pen ${isDown ? "down" : "up"}, ${percent(x)} from the left, ` +
    `${percent(y)} from the top.`;
}

/** @param {HTMLElement} group of radio buttons */
function colourButtons(group) {
  const buttons = [...group.querySelectorAll("input")];
  const mine = buttons[Math.floor(Math.random() * COLOURS)];
  // Not everybody should draw in the same colour.
  if (mine !== undefined) mine.checked = true;
  return {
    chosen: () => Math.max(0, buttons.findIndex(({ checked }) => checked)),
  };
}

/** @param {Experiment} experiment */
function createDisplay(experiment) {
  const bytesTable = experiment.part("bytes", HTMLTableElement);
  const costTable = experiment.part("costs", HTMLTableElement);
  const caption = experiment.part("which", HTMLElement);

  /**
   * @param {"sent" | "received"} how
   * @param {Uint8Array} bytes
   * @param {Stroke} stroke
   */
  return (how, bytes, stroke) => {
    const groups = explain(bytes);
    const rest = groups.length - MAX_SHOWN_GROUPS;
    caption.textContent = `The last frame, ${how}: ${bytes.length} bytes`;
    fill(bytesTable, [
      ...groups.slice(0, MAX_SHOWN_GROUPS)
        .map(({ bytes, meaning }) => [hex(bytes), meaning]),
      ...rest > 0 ? [["…", `${rest} more points`]] : [],
    ]);
    const { binary, json, sse } = costs(stroke);
    const row = (
      /** @type {string} */ name,
      /** @type {{ content: number, onWire: number }} */ cost,
    ) => [
      name,
      cost.content,
      cost.onWire,
      `${(cost.onWire / binary.onWire).toFixed(1)}\u00a0×`,
    ];
    fill(costTable, [
      row("binary frame", binary),
      row("JSON in a text frame", json),
      row("base64 over SSE", sse),
    ]);
  };
}
