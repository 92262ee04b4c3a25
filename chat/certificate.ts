// Owns the certificate and its key, for HTTPS: reading, checking, noticing new
// ones. Never serves anything and never shows the key.
// Invariant: `cert` and `key` belong together and were valid when they were
// read; files that are no good change nothing.
import { X509Certificate } from "node:crypto";

/** The files cannot be used; the message says which one and why. */
export class CertificateError extends Error {
  override name = "CertificateError";
}

export class Certificate {
  cert = "";
  key = "";

  /** Reads two PEM files. Throws a `CertificateError` if they are no good. */
  constructor(
    private readonly certFile: string,
    private readonly keyFile: string,
    private readonly now: () => number,
  ) {
    this.reload();
  }

  /**
   * Reads the files again. True if they are others than before, and good; a
   * `CertificateError` if they are no good.
   */
  reload(): boolean {
    const cert = readPem(this.certFile);
    const key = readPem(this.keyFile);
    if (cert === this.cert && key === this.key) return false;
    this.#check(cert, key);
    this.cert = cert;
    this.key = key;
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
      // Only Deno's own TLS knows on every version whether the two match.
      Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
    } catch (error) {
      const reason = error instanceof Error ? error.message : error;
      throw new CertificateError(
        `the key ${this.keyFile} does not fit the certificate ` +
          `${this.certFile}: ${reason}`,
      );
    }
  }
}

function readPem(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new CertificateError(`${file} cannot be read: ${reason}`);
  }
}

function parse(cert: string, file: string): X509Certificate {
  try {
    return new X509Certificate(cert);
  } catch {
    throw new CertificateError(`${file} is no certificate in PEM form`);
  }
}
