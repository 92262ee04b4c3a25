// The keys by which people own a name. A key is `id.secret`: the id is for
// look-up, so that the secret can be compared in constant time. Only a hash of
// the secret is stored.
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

/** Characters of an author's public id: 60 bits, so no two are the same. */
const AUTHOR_CHARS = 10;

/**
 * The public id of an identity, by which everybody can tell who sent a message.
 * The identity's own id is half of the key, so it is not shown; guessing it is
 * hopeless, because it is 72 random bits.
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

/** A new name for a life of a room's history. */
export const newEpoch = () => randomBytes(6).toString("base64url");
