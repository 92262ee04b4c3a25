// The keys by which people own a name. A key is `id.secret`: it is looked up by
// its id, so that the secret, of which only a hash is stored, can be compared in
// constant time.
import { Buffer } from "node:buffer";
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

export function newKey(): { id: string; secret: string; key: string } {
  const id = randomBytes(9).toString("base64url");
  const secret = randomBytes(18).toString("base64url");
  return { id, secret, key: `${id}.${secret}` };
}

export function splitKey(key: string): { id: string; secret: string } {
  const dot = key.indexOf(".");
  return { id: key.slice(0, dot), secret: key.slice(dot + 1) };
}

/** Characters of an author's public id: 60 bits, so no two people have the same. */
const AUTHOR_CHARS = 10;

/**
 * The public id of an identity, by which everybody can tell who sent a message. The
 * identity's own id is half of the key, so it is not shown, and cannot be found by
 * trying: it is 72 bits of chance.
 */
export function authorOf(identity: string): string {
  return createHash("sha256").update(`author ${identity}`).digest("base64url")
    .slice(0, AUTHOR_CHARS);
}

export function hashSecret(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

export function matches(secret: string, hash: Uint8Array): boolean {
  return timingSafeEqual(hashSecret(secret), hash);
}

/** Names a life of a room's history. */
export const newEpoch = () => randomBytes(6).toString("base64url");
