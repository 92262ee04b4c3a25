// If several servers use one store, an HTTP request can come to a server that
// does not have its client. The request is passed on to the server that does,
// and the answer back. A client that moves on meanwhile is followed a few
// times.
import { errorResponse, HttpError, retryAfter } from "../http/http_error.ts";
import type { Owner } from "../http/proxy.ts";
import type { Hello, Request as ClientRequest } from "../protocol/requests.ts";
import { STORE_FAILED } from "../session/v1.ts";
import { type Peer, StoreError } from "../store/store.ts";

/** A request to /messages, for the present holder of its key. */
export interface ForwardedRequest {
  roomName: string;
  /** Set if the request is for this line alone. */
  lineName: string | undefined;
  /** The posted request; one with an id may have been stored already. */
  asked?: ClientRequest;
  /** The position from which a poll goes on. */
  since?: Hello["since"] | undefined;
  waitSeconds?: number;
  /** The client behind the request; older servers do not send it. */
  owner?: Owner;
  /** Replaces the key in the answer, if others may see the answer. */
  keyMark?: string;
}

/**
 * A request as one server passes it on to another. Everybody who can read Redis
 * sees it, so nothing in it lets anybody in: the first server has checked key
 * and invitation, and the request names the identity by its id.
 */
interface PassedOn extends ForwardedRequest {
  identity: string;
  keyMark: string;
}

/** How long another server may take, besides the wait of the request itself. */
const PASSED_ON_TIMEOUT_MS = 10_000;

/** How many servers may be asked for one request. */
export const MAX_ASKED = 4;

/**
 * The answer of another server; null if it has neither the client nor a mailbox
 * that can go on, so that a new line has to be opened.
 */
type ForwardedResponse =
  | { status: number; headers: Record<string, string>; body: string }
  | { isElsewhere: true }
  | null;

/**
 * Does here what an identity asks. Undefined if the identity is not here;
 * throws `OnOtherServer` if it is on another server.
 */
type AskHere = (
  identity: string | undefined,
  asking: ForwardedRequest,
  /** Tells that the client went. */
  signal: AbortSignal | undefined,
) => Promise<Response | undefined>;

/** The holder of the request's key is on another server. */
export class OnOtherServer extends Error {
  constructor(readonly peer: Peer, readonly identity: string) {
    super();
  }
}

export function takenOver(): HttpError {
  return new HttpError(409, "Another connection took over this key.");
}

/**
 * Asks the holder of this key, on this server or another. Undefined if a new
 * line has to be opened for the request.
 */
export async function handleOrForward(
  key: string | undefined,
  identity: string | undefined,
  asking: ForwardedRequest,
  handleHere: AskHere,
  signal: AbortSignal | undefined,
): Promise<Response | undefined> {
  const keyMark = crypto.randomUUID();
  for (let passedOn = 0;; passedOn++) {
    try {
      return await handleHere(identity, asking, signal);
    } catch (error) {
      if (!(error instanceof OnOtherServer)) throw error;
      if (passedOn === MAX_ASKED) throw takenOver();
      const told = await passOn(error, asking, keyMark, signal);
      if (told === null) return undefined;
      if ("body" in told) {
        const body = told.body.replaceAll(keyMark, () => key ?? "");
        return new Response(body, told);
      }
      // By now the client is on yet another server, or here.
    }
  }
}

async function passOn(
  { peer, identity }: OnOtherServer,
  asking: ForwardedRequest,
  keyMark: string,
  signal: AbortSignal | undefined,
): Promise<ForwardedResponse> {
  const passedOn: PassedOn = { ...asking, identity, keyMark };
  const waitMs = PASSED_ON_TIMEOUT_MS + (asking.waitSeconds ?? 0) * 1000;
  const question = JSON.stringify(passedOn);
  return JSON.parse(await orUnavailable(peer.ask(question, waitMs, signal)));
}

/** Answers a request that another server passed on. */
export async function answerPassedOn(
  text: string,
  handleHere: AskHere,
  signal: AbortSignal,
): Promise<string> {
  const { identity, ...asking }: PassedOn = JSON.parse(text);
  const response = await handleHere(identity, asking, signal).catch((error) =>
    error instanceof OnOtherServer ? error : errorResponse(error)
  );
  if (response === undefined) return encode(null);
  if (response instanceof OnOtherServer) return encode({ isElsewhere: true });
  return encode({
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
  });
}

function encode(told: ForwardedResponse): string {
  return JSON.stringify(told);
}

/** The store's answer; throws an `HttpError` if the store cannot be asked. */
export async function orUnavailable<T>(told: Promise<T>): Promise<T> {
  try {
    return await told;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const { message, retryAfterMs } = STORE_FAILED;
    throw new HttpError(503, message, retryAfter(retryAfterMs));
  }
}
