// @ts-check
// Owns what the page's address says: the room, the socket's address, the link
// to share. It never navigates and never reads the page. Invariant: functions
// of their arguments only; a room that they return is one the server accepts.

const DEFAULT_ROOM = "lobby";
const ROOM_NAME = /^[a-z0-9-]{1,32}$/;

/**
 * The room that a query string asks for. `room` is null when the name is not
 * a valid one; `asked` is the name as it was written, to be shown as text.
 *
 * @param {string} search such as "?room=physics"
 * @returns {{ room: string | null, asked: string }}
 */
export function roomFrom(search) {
  const asked = new URLSearchParams(search).get("room") ?? DEFAULT_ROOM;
  return { room: ROOM_NAME.test(asked) ? asked : null, asked };
}

/**
 * What someone probably means who types a room's name: "Physics 2" is
 * physics-2. The result may still be invalid.
 *
 * @param {string} typed
 */
export function tidyRoomName(typed) {
  return typed.trim().toLowerCase().replaceAll(/\s+/g, "-");
}

/**
 * The WebSocket's address: beside the page, encrypted when the page is.
 *
 * @param {string} base the page's base address
 * @param {string} room
 */
export function socketUrl(base, room) {
  const url = new URL("ws", base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  if (room !== DEFAULT_ROOM) url.searchParams.set("room", room);
  return url.href;
}

/**
 * The address of the page in this room, to share with others.
 *
 * @param {string} base the page's base address
 * @param {string} room
 */
export function inviteUrl(base, room) {
  const url = new URL(base);
  url.hash = "";
  url.search = room === DEFAULT_ROOM ? "" : `?room=${room}`;
  return url.href;
}

/**
 * True if only this computer can open such an address.
 *
 * @param {string} hostname as in `location.hostname`
 */
export function isLoopback(hostname) {
  return hostname === "localhost" || hostname.endsWith(".localhost") ||
    hostname === "[::1]" || hostname.startsWith("127.");
}
