// @ts-check
// The four ways that are compared: how a connection of each is opened, and
// where its messages are delayed and counted. The connections are those of the
// chat page; the code between them and the lab changes nothing but time.

import {
  createEventSocket,
  createPollSocket,
  HttpSocket,
} from "../client/http_socket.js";
import { openLongPoll } from "../client/long_poll.js";
import { SUBPROTOCOL } from "../client/protocol.js";
import { sleep } from "./time.js";

/** @import { Meter } from "./meter.js" */
/** @import { Socket } from "../client/connection.js" */

/** From an answer to the next request of plain polling. */
export const PLAIN_PAUSE_MS = 1_000;

/**
 * `sendLagged`, `hearLagged`: whether the member has to delay the messages that
 * it sends and receives; if not, the connection does that, request by request.
 *
 * @typedef {object} Way
 * @property {"websocket" | "sse" | "long" | "plain"} id
 * @property {string} name
 * @property {boolean} sendLagged
 * @property {boolean} hearLagged
 * @property {(url: string, meter: Meter, lagMs: number) => Socket} open
 */

/** @type {Way} */
export const WEBSOCKET = {
  id: "websocket",
  name: "WebSocket",
  sendLagged: true,
  hearLagged: true,
  open: (url, meter) => openWebSocket(url, meter),
};

/** @type {Way[]} */
export const WAYS = [
  WEBSOCKET,
  {
    id: "sse",
    name: "SSE + POST",
    sendLagged: false,
    hearLagged: true,
    open: (url, meter, lagMs) => openStream(url, meter, lagMs),
  },
  {
    id: "long",
    name: "Long poll + POST",
    sendLagged: false,
    hearLagged: false,
    open: (url, meter, lagMs) =>
      createPollSocket(url, { fetch: meteredFetch(meter, lagMs) }),
  },
  {
    id: "plain",
    name: "Plain polling + POST",
    sendLagged: false,
    hearLagged: false,
    open: (url, meter, lagMs) =>
      new HttpSocket(
        url,
        "messages",
        (...args) => openLongPoll(...args, PLAIN),
        { fetch: meteredFetch(meter, lagMs) },
      ),
  },
];

const PLAIN = { waitSeconds: 0, pauseMs: PLAIN_PAUSE_MS };

/**
 * @param {string} url
 * @param {Meter} meter
 */
function openWebSocket(url, meter) {
  const socket = new WebSocket(url, SUBPROTOCOL);
  socket.addEventListener("open", () => meter.socketOpened());
  socket.addEventListener("message", ({ data }) => meter.frameCame(data));
  const send = socket.send.bind(socket);
  socket.send = (text) => {
    meter.frameSent(String(text));
    send(text);
  };
  return socket;
}

/**
 * @param {string} url
 * @param {Meter} meter
 * @param {number} lagMs
 */
function openStream(url, meter, lagMs) {
  let epoch = "";
  const socket = createEventSocket(url, {
    fetch: meteredFetch(meter, lagMs),
    EventSource: class extends EventSource {
      /** @param {string | URL} url */
      constructor(url) {
        super(url);
        meter.streamOpened(String(url));
      }
    },
  });
  socket.addEventListener("message", (event) => {
    const { data } = /** @type {MessageEvent<string>} */ (event);
    epoch = JSON.parse(data)[0].epoch ?? epoch;
    meter.eventCame(data.slice(1, -1), epoch);
  });
  return socket;
}

/**
 * A fetch that takes `lagMs` longer in each direction.
 *
 * @param {Meter} meter
 * @param {number} lagMs
 * @returns {typeof fetch}
 */
function meteredFetch(meter, lagMs) {
  return async (input, /** @type {RequestInit} */ init = {}) => {
    await sleep(lagMs, init.signal);
    meter.asked(String(input), init);
    const response = await fetch(input, init);
    const body = await response.text();
    meter.answered(init, response, body);
    await sleep(lagMs, init.signal);
    const { status, headers } = response;
    return new Response(body, { status, headers });
  };
}
