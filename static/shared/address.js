// @ts-check
// Reads and writes addresses: the room, the invitation, the socket's address,
// the link to share. All functions depend on their arguments only, and a room
// that they return is one that the server accepts.

const DEFAULT_ROOM = "lobby";
const ROOM_NAME = /^[a-z0-9-]{1,32}$/;
const MAX_ROOM_LENGTH = 32;

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
 * The invitation code in a link, or "". The code is in the fragment, because
 * that part of a link is sent to no server and stands in no log.
 *
 * @param {string} hash such as "#invite=cuckoo"
 */
export function invitationFrom(hash) {
  return new URLSearchParams(hash.replace(/^#/, "")).get("invite") ?? "";
}

/**
 * The room name that somebody probably means: "Physics 2" is physics-2. The
 * result may still be invalid.
 *
 * @param {string} typed
 */
export function tidyRoomName(typed) {
  return typed.trim().toLowerCase().replaceAll(/\s+/g, "-");
}

/**
 * Why a room cannot have this name, or "". The field does not cut a long name,
 * because its beginning could name another room.
 *
 * @param {string} name
 */
export function roomNameProblem(name) {
  const surplus = [...name].length - MAX_ROOM_LENGTH;
  if (surplus > 0) {
    return `Too long: a room’s name has at most ${MAX_ROOM_LENGTH} characters; ` +
      `this one has ${surplus} too many.`;
  }
  // The browser itself reports an empty field.
  if (name === "" || ROOM_NAME.test(name)) return "";
  return "A room's name has 1 to 32 characters: a to z, 0 to 9 and -.";
}

/**
 * The WebSocket's address: beside the page, encrypted when the page is.
 *
 * @param {string} base the page's base address
 * @param {string} room
 * @param {string} invitation the code, or ""
 */
export function socketUrl(base, room, invitation = "") {
  const url = new URL("ws", base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  if (room !== DEFAULT_ROOM) url.searchParams.set("room", room);
  if (invitation !== "") url.searchParams.set("invite", invitation);
  return url.href;
}

/**
 * The address of the same room over HTTP, beside the WebSocket's address.
 *
 * @param {string} socketUrl as socketUrl() gives it
 * @param {"events" | "messages"} entrance
 */
export function entranceUrl(socketUrl, entrance) {
  const { protocol, search } = new URL(socketUrl);
  const url = new URL(entrance + search, socketUrl);
  url.protocol = protocol === "wss:" ? "https:" : "http:";
  return url.href;
}

/**
 * The address of the page in this room, to share with others. With the code in
 * it, the address lets anybody in.
 *
 * @param {string} base the page's base address
 * @param {string} room
 * @param {string} invitation the code, or ""
 */
export function inviteUrl(base, room, invitation = "") {
  const url = new URL(base);
  url.hash = invitation && `invite=${encodeURIComponent(invitation)}`;
  url.search = room === DEFAULT_ROOM ? "" : `?room=${room}`;
  return url.href;
}

/**
 * A message as a link names it: by its number and by the epoch of the room's
 * history in which it has that number.
 *
 * @typedef {object} Place
 * @property {number} seq
 * @property {string} epoch
 */

/**
 * The address that leads to a message.
 *
 * @param {string} pageUrl as inviteUrl() gives it
 * @param {Place} place
 */
export function messageUrl(pageUrl, { seq, epoch }) {
  const url = new URL(pageUrl);
  const values = new URLSearchParams(url.hash.slice(1));
  values.set("message", `${seq}`);
  values.set("epoch", epoch);
  url.hash = `${values}`;
  return url.href;
}

/**
 * The message that a link leads to, or null.
 *
 * @param {string} hash such as "#message=12&epoch=Zm9v"
 * @returns {Place | null}
 */
export function messageFrom(hash) {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const seq = values.get("message") ?? "";
  if (!/^[1-9]\d{0,14}$/.test(seq)) return null;
  return { seq: Number(seq), epoch: values.get("epoch") ?? "" };
}

/**
 * The folder that the page is served from: "/" or "/chat/". Two servers may
 * share an origin under different ones.
 *
 * @param {string} base the page's base address
 */
export function basePath(base) {
  return new URL(".", base).pathname;
}

/**
 * True if only this computer can open such an address. `0.0.0.0` and `[::]`
 * are for listening, but some systems take them for this computer.
 *
 * @param {string} hostname as in `location.hostname`
 */
export function isLoopback(hostname) {
  const host = hostname.replace(/\.$/, "");
  return host === "localhost" || host.endsWith(".localhost") ||
    host.startsWith("127.") || host.startsWith("[::ffff:7f") ||
    ["[::1]", "[::]", "0.0.0.0"].includes(host);
}
