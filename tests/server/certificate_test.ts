// HTTPS and wss: what certificate.ts refuses, and a certificate that is
// replaced while the server runs. The pairs beside this file are for tests
// only, and hold for a hundred years.
import { assert, assertEquals, assertMatch } from "@std/assert";
import WebSocket from "npm:ws@8.23.0";
import { Certificate, CertificateError } from "../../chat/http/certificate.ts";
import {
  isOldest,
  newContext,
  soon,
  startServer,
  until,
} from "../support/harness.ts";

const FOLDER = new URL("../support/certificates/", import.meta.url).pathname;
const pem = (name: string) => Deno.readTextFileSync(FOLDER + name);

/** Two files of one's own, which hold the pair of that name. */
class Files implements Disposable {
  readonly #folder = Deno.makeTempDirSync();
  readonly cert = `${this.#folder}/cert.pem`;
  readonly key = `${this.#folder}/key.pem`;

  constructor(cert: string, key = cert) {
    this.put(cert, key);
  }

  put(cert: string, key = cert): void {
    Deno.writeTextFileSync(this.cert, pem(`${cert}.pem`));
    Deno.writeTextFileSync(this.key, pem(`${key}.key`));
  }

  load(now = Date.now): Certificate {
    return new Certificate(this.cert, this.key, now);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** What is wrong with the files, as the operator reads it. */
function complaintOf(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    assert(error instanceof CertificateError);
    return error.message;
  }
  return "";
}

/** A client that trusts this certificate only. */
async function open(url: string, name: string) {
  const socket = new WebSocket(url, { ca: pem(`${name}.pem`) });
  const closed = new Promise<number>((resolve) => socket.on("close", resolve));
  const opened = new Promise<void>((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
  });
  await soon(opened, "the connection");
  const heard = (text: string) =>
    new Promise<void>((resolve) =>
      socket.on("message", (data: unknown) => {
        if (JSON.parse(String(data)).message === text) resolve();
      })
    );
  return { socket, closed, heard };
}

Deno.test("a certificate that is missing, malformed or not this key's is refused", () => {
  using files = new Files("first", "second");
  assertMatch(complaintOf(() => files.load()), /does not belong/);
  Deno.writeTextFileSync(files.cert, "not a certificate");
  assertMatch(complaintOf(() => files.load()), /not a certificate in PEM form/);
  Deno.removeSync(files.cert);
  assertMatch(
    complaintOf(() => files.load()),
    /cert\.pem cannot be read: there is no such file$/,
  );
  files.put("first");
  Deno.writeTextFileSync(files.key, "not a key");
  const complaint = complaintOf(() => files.load());
  assertMatch(complaint, /key\.pem does not belong/);
});

Deno.test("files that begin with a byte-order mark are read", () => {
  using files = new Files("first");
  for (const file of [files.cert, files.key]) {
    Deno.writeTextFileSync(file, `\ufeff${Deno.readTextFileSync(file)}`);
  }
  assertEquals(files.load().cert, pem("first.pem"));
});

Deno.test("an expired certificate is refused, and one of the future too", () => {
  using files = new Files("first");
  const at = (date: string) => () => Date.parse(date);
  assertMatch(
    complaintOf(() => files.load(at("2200-01-01"))),
    /expired on .*2125/,
  );
  assertMatch(
    complaintOf(() => files.load(at("2020-01-01"))),
    /not valid before .*2025/,
  );
});

Deno.test(
  "with a certificate the server speaks https and wss, and only these",
  {
    ignore: isOldest,
  },
  async () => {
    using files = new Files("first");
    await using server = await startServer({}, {}, files.load());
    using client = Deno.createHttpClient({ caCerts: [pem("first.pem")] });
    const page = await fetch(server.http, { client });
    assertMatch(await page.text(), /<!doctype html>/i);
    const a = await open(server.ws, "first");
    const heard = a.heard("in secret");
    a.socket.send("in secret");
    await soon(heard, "the message");
    a.socket.close();
    await a.closed;
    const plain = await fetch(server.http.replace("https", "http"))
      .catch((error) => error);
    assert(plain instanceof TypeError, "plain http was answered");
  },
);

Deno.test(
  "a new certificate is taken while the server runs; clients come back to it",
  {
    ignore: isOldest,
  },
  async () => {
    using files = new Files("first");
    await using server = await startServer({}, {}, files.load());
    const a = await open(server.ws, "first");
    await server.renewCertificate();
    assertEquals(server.connections.size, 1, "nothing was new");
    files.put("second");
    await server.renewCertificate();
    assertEquals(await soon(a.closed, "the close"), 1012);
    let b: Awaited<ReturnType<typeof open>> | undefined;
    await soon(
      (async () => {
        while (b === undefined) {
          b = await open(server.ws, "second").catch(() => undefined);
        }
      })(),
      "a connection with the new certificate",
    );
    b?.socket.close();
    await b?.closed;
  },
);

Deno.test("a new certificate that is no good leaves the old one in use", {
  ignore: isOldest,
}, async () => {
  const lines: string[] = [];
  const context = newContext();
  context.logger.log = (level, _event, message) =>
    lines.push(`${level} ${message}`);
  using files = new Files("first");
  await using server = await startServer({}, context, files.load());
  const a = await open(server.ws, "first");
  files.put("second", "first");
  await server.renewCertificate();
  assertMatch(lines[0] ?? "", /^error The old certificate stays in use/);
  assertEquals(server.connections.size, 1);
  const b = await open(server.ws, "first");
  for (const { socket, closed } of [a, b]) {
    socket.close();
    await closed;
  }
  await until(() => server.connections.size === 0, "both are gone");
});
