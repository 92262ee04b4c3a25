// A request by HTTP can come to another server than the one where its client is,
// when several servers use one store. It is passed on to that one, and the answer
// back. A client that goes on elsewhere meanwhile is followed a few times.
import { errorResponse, HttpError, retryAfter } from "../http/http_error.ts";
import type { Owner } from "../http/proxy.ts";
import type { Hello, Request as ClientRequest } from "../protocol/requests.ts";
import { STORE_FAILED } from "../session/v1.ts";
import { type Peer, StoreError } from "../store/store.ts";

/** What a request to /messages asks of whoever is here with its key. */
export interface Asking {
  roomName: string;
  /** Set if the request is for this line alone. */
  lineName: string | undefined;
  /** What was posted, with an id: it may be that it was stored already. */
  asked?: ClientRequest;
  /** Where a poll goes on. */
  since?: Hello["since"] | undefined;
  waitSeconds?: number;
  /** Whose request it is; an older server does not say it. */
  owner?: Owner;
  /** What stands in the answer for the key, if others may see the answer. */
  keyMark?: string;
}

/**
 * A request as one server passes it on to another. Redis sees it, and whoever
 * can read there, so nothing in it lets anybody in: the key and the invitation
 * were looked at by the first server, and the identity has an id.
 */
interface PassedOn extends Asking {
  identity: string;
  keyMark: string;
}

/** How long another server may take, beside what the request may wait. */
const PASSED_ON_TIMEOUT_MS = 10_000;

/** How many servers may be asked for one request. */
export const MAX_ASKED = 4;

/**
 * What another server answers; null if there is nobody, or no mailbox that can
 * go on, so that a new line is to be opened.
 */
type Told =
  | { status: number; headers: Record<string, string>; body: string }
  | { isElsewhere: true }
  | null;

/**
 * Does here what is asked of an identity. Undefined if nobody is here with it;
 * throws `Elsewhere` if somebody is on another server.
 */
type AskHere = (
  identity: string | undefined,
  asking: Asking,
  /** Tells that the client went. */
  signal: AbortSignal | undefined,
) => Promise<Response | undefined>;

/** Somebody is on another server with the key of a request. */
export class Elsewhere extends Error {
  constructor(readonly peer: Peer, readonly identity: string) {
    super();
  }
}

export function takenOver(): HttpError {
  return new HttpError(409, "Another connection took over this key.");
}

/**
 * Has whoever has the identity of this key, on this server or another, do what
 * is asked. Undefined if a new line is to be opened for it.
 */
export async function askWherever(
  key: string | undefined,
  identity: string | undefined,
  asking: Asking,
  askHere: AskHere,
  signal: AbortSignal | undefined,
): Promise<Response | undefined> {
  const keyMark = crypto.randomUUID();
  for (let passedOn = 0;; passedOn++) {
    try {
      return await askHere(identity, asking, signal);
    } catch (error) {
      if (!(error instanceof Elsewhere)) throw error;
      if (passedOn === MAX_ASKED) throw takenOver();
      const told = await passOn(error, asking, keyMark, signal);
      if (told === null) return undefined;
      if ("body" in told) {
        const body = told.body.replaceAll(keyMark, () => key ?? "");
        return new Response(body, told);
      }
      // By now its sender is on yet another one, or here.
    }
  }
}

async function passOn(
  { peer, identity }: Elsewhere,
  asking: Asking,
  keyMark: string,
  signal: AbortSignal | undefined,
): Promise<Told> {
  const passedOn: PassedOn = { ...asking, identity, keyMark };
  const waitMs = PASSED_ON_TIMEOUT_MS + (asking.waitSeconds ?? 0) * 1000;
  const question = JSON.stringify(passedOn);
  return JSON.parse(await orUnavailable(peer.ask(question, waitMs, signal)));
}

/** Answers a request that another server passed on. */
export async function answerPassedOn(
  text: string,
  askHere: AskHere,
  signal: AbortSignal,
): Promise<string> {
  const { identity, ...asking }: PassedOn = JSON.parse(text);
  const response = await askHere(identity, asking, signal).catch((error) =>
    error instanceof Elsewhere ? error : errorResponse(error)
  );
  if (response === undefined) return encode(null);
  if (response instanceof Elsewhere) return encode({ isElsewhere: true });
  return encode({
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
  });
}

function encode(told: Told): string {
  return JSON.stringify(told);
}

/** What the store tells; if it cannot be asked, that is an `HttpError`. */
export async function orUnavailable<T>(told: Promise<T>): Promise<T> {
  try {
    return await told;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const { message, retryAfterMs } = STORE_FAILED;
    throw new HttpError(503, message, retryAfter(retryAfterMs));
  }
}
