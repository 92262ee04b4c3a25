// The codes with which the server closes a WebSocket, and the reasons. Event
// streams and polls tell the same codes in an event `close`.

/**
 * Close codes in use (RFC 6455 section 7.4.1; 1012 and 1013 from the IANA
 * registry; the 4000s are private use, section 7.4.2).
 */
export const CloseCode = {
  shuttingDown: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  policy: 1008,
  tooLarge: 1009,
  serverFault: 1011,
  restarting: 1012,
  tryAgainLater: 1013,
  takenOver: 4002,
} as const;

/** Why the server closes connections whose clients did nothing wrong. */
const INTERRUPTIONS = {
  shutting_down: [CloseCode.shuttingDown, "the server is shutting down"],
  restarting: [CloseCode.restarting, "the server is restarting"],
  overloaded: [CloseCode.tryAgainLater, "the server is overloaded"],
} as const;

/** Why the server disconnects a client: the code, and the reason for it. */
export const DISCONNECTS = {
  binary_frame: [CloseCode.unsupportedData, "send text, not binary"],
  board_full: [CloseCode.tryAgainLater, "too many people are drawing here"],
  board_idle: [
    CloseCode.tryAgainLater,
    "you drew nothing for 30 s and somebody else came to draw",
  ],
  crowd: [CloseCode.tryAgainLater, "too many new people at once"],
  echo_flood: [CloseCode.policy, "sending faster than the echo comes back"],
  flood: [CloseCode.policy, "too many refused messages"],
  frame_too_large: [CloseCode.tooLarge, "frame too large"],
  history_lost: [CloseCode.tryAgainLater, "the room's history was lost"],
  history_moved: [
    CloseCode.tryAgainLater,
    "the history no longer reaches back so far",
  ],
  joins_often: [CloseCode.tryAgainLater, "joining too often"],
  late_hello: [CloseCode.protocolError, "no hello came in time"],
  log_unavailable: [CloseCode.tryAgainLater, "the store cannot be used"],
  name_lost: [CloseCode.tryAgainLater, "the name was lost"],
  no_hello: [CloseCode.protocolError, "send hello first"],
  nothing_said: [CloseCode.tryAgainLater, "nothing was said"],
  not_json: [CloseCode.protocolError, "send JSON objects"],
  server_fault: [CloseCode.serverFault, "an error in the server"],
  slow_reader: [CloseCode.tryAgainLater, "reading too slowly"],
  superseded: [CloseCode.takenOver, "continued on another connection"],
  text_frame: [CloseCode.unsupportedData, "send binary, not text"],
  too_many_rooms: [CloseCode.tryAgainLater, "too many rooms"],
  ...INTERRUPTIONS,
} as const;

export type DisconnectReason = keyof typeof DISCONNECTS;
export type Interruption = keyof typeof INTERRUPTIONS;

export function isInterruption(
  reason: DisconnectReason,
): reason is Interruption {
  return reason in INTERRUPTIONS;
}
