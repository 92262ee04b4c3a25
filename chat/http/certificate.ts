// The certificate and its key, for HTTPS: reading, checking, noticing new ones.
// `cert` and `key` belong together and were valid when they were read; unusable
// files change nothing. The key is never shown.
import { X509Certificate } from "node:crypto";
import type { Logger } from "../ops/logger.ts";
import { reasonOf } from "../ops/system_error.ts";

/** How often to look for a new certificate. */
export const RENEW_CERTIFICATE_EVERY_MS = 10_000;

/** The files cannot be used; the message says which one and why. */
export class CertificateError extends Error {
  override name = "CertificateError";
}

export class Certificate {
  cert = "";
  key = "";

  /**
   * Reads two PEM files. Throws a `CertificateError` if they cannot be used.
   */
  constructor(
    private readonly certFile: string,
    private readonly keyFile: string,
    private readonly now: () => number,
  ) {
    this.reload();
  }

  /**
   * Reads the files again. True if they have changed and can be used. Throws a
   * `CertificateError` if they cannot be used.
   */
  reload(): boolean {
    const cert = readPem("--cert", this.certFile);
    const key = readPem("--key", this.keyFile);
    if (cert === this.cert && key === this.key) return false;
    this.#check(cert, key);
    this.cert = cert;
    this.key = key;
    return true;
  }

  /** Like `reload`, but reports the result, good or bad, to the operator. */
  renew(logger: Logger): boolean {
    try {
      if (!this.reload()) return false;
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error;
      const message = `The old certificate stays in use: ${error.message}.`;
      logger.log("error", "certificate", message);
      return false;
    }
    logger.log("info", "certificate", "The new certificate is in use.");
    return true;
  }

  #check(cert: string, key: string): void {
    const { validFrom, validTo } = parse(cert, this.certFile);
    const nowMs = this.now();
    if (nowMs > Date.parse(validTo)) {
      throw new CertificateError(
        `the certificate ${this.certFile} expired on ${validTo}`,
      );
    }
    if (nowMs < Date.parse(validFrom)) {
      throw new CertificateError(
        `the certificate ${this.certFile} is not valid before ${validFrom}`,
      );
    }
    try {
      // Only Deno's own TLS can tell on every version whether the two match.
      Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
    } catch (error) {
      throw new CertificateError(
        `the key ${this.keyFile} does not belong to the certificate ` +
          `${this.certFile}: ${reasonOf(error)}`,
      );
    }
  }
}

function readPem(option: string, file: string): string {
  try {
    // Editors on Windows begin a file with a byte-order mark.
    return Deno.readTextFileSync(file).replace(/^\ufeff/, "");
  } catch (error) {
    throw new CertificateError(
      `${option} ${file} cannot be read: ${reasonOf(error)}`,
    );
  }
}

function parse(cert: string, file: string): X509Certificate {
  try {
    return new X509Certificate(cert);
  } catch {
    throw new CertificateError(`${file} is not a certificate in PEM form`);
  }
}
