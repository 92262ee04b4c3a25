// Where the servers' protocols differ: the address, the first words, how a text
// is said and how events are read. In each of them all members of a room are
// sent the same bytes.

export interface Event {
  type: string;
  message?: string;
}

export interface Dialect {
  path: string;
  subprotocol?: string;
  /** What the client says first. */
  greeting?: string;
  /** The type of the event that answers it; before that nothing may be said. */
  answer?: string;
  /** The payload that says `text`; `id` is unique per client. */
  wrap(text: string, id: string): string;
  /** The events in one payload from the server; none if it is not about any. */
  events(payload: string): Event[];
}

export const dialects = {
  // Also what the peers on ws and Bun speak.
  plain: {
    path: "/ws",
    wrap: (text) => text,
    events: (payload) => [JSON.parse(payload)],
  },
  v1: {
    path: "/ws",
    subprotocol: "partyline.v1",
    greeting: JSON.stringify({ type: "hello", history: 0 }),
    answer: "welcome",
    wrap: (message, id) => JSON.stringify({ type: "message", message, id }),
    events: (payload) => JSON.parse(payload),
  },
  // Engine.IO 4: "4" is its message; in it, Socket.IO 5's "0" joins and "2" is
  // an event. What else comes while connecting is about no event.
  socketio: {
    path: "/socket.io/?EIO=4&transport=websocket",
    greeting: "40",
    wrap: (text) => "42" + JSON.stringify(["message", text]),
    events: (payload) =>
      payload.startsWith("42") ? [JSON.parse(payload.slice(2))[1]] : [],
  },
} satisfies Record<string, Dialect>;

export type DialectName = keyof typeof dialects;
