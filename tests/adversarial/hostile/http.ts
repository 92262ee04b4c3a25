// Cases of HTTP: what a bad client may write instead of a request (RFC 9110,
// 9112) or of a handshake (RFC 6455 section 4.2.1), and all that it is answered.
// Pure data. Invariant: strings are Latin-1, a character for each byte, so that
// any byte can be written down.
import { frame, Opcode } from "../../../chat/check/frames.ts";
import {
  closes,
  GOES_ON,
  HANGS_UP,
  hex,
  IS_CUT,
  ping,
  text,
  times,
} from "./case.ts";

export interface HttpCase {
  what: string;
  rule: string;
  send: string | Uint8Array;
  /** How many bytes to write at a time, if not all. */
  chop?: number;
  /** The status of each answer; after 101 come frames. */
  answers: readonly number[];
  /** Messages that it hears, after 101. */
  says?: readonly string[];
  ends: string;
  /** What Deno before 2.8.3 does instead: see `hasNewHttp`. */
  older?: Outcome;
  /** What Deno 2.6 does instead of that. */
  oldest?: Outcome;
}

type Outcome = Partial<Pick<HttpCase, "answers" | "ends">>;

/** A head of these lines. */
const head = (...lines: string[]) => `${lines.join("\r\n")}\r\n\r\n`;
const get = (target: string, ...fields: string[]) =>
  head(`GET ${target} HTTP/1.1`, "Host: a", ...fields);
/** A request that has a body if the fields say so. */
const post = (...fields: string[]) =>
  head("POST / HTTP/1.1", "Host: a", ...fields);

const FILE = get("/shared/base.css");

/** Answered with 400 and no word, by Deno. */
const isBad = { answers: [400], ends: IS_CUT };

const isFine = { answers: [200], ends: GOES_ON };
const isNotFound = { answers: [404], ends: GOES_ON };
/** With a sentence, by the server. */
const isRefused = { answers: [400], ends: GOES_ON };

type Row = [what: string, send: string, Partial<HttpCase>?];

const area = (
  rule: string,
  usual: Pick<HttpCase, "answers" | "ends">,
  rows: Row[],
) =>
  rows.map(([what, send, rest]): HttpCase => ({
    what,
    rule,
    send,
    ...usual,
    ...rest,
  }));

const heads: HttpCase[] = [
  ...area("RFC 9112 2", isBad, [
    ["HTTP/0.9", "GET /\r\n"],
    ["HTTP/1.2", head("GET / HTTP/1.2", "Host: a")],
    ["HTTP/2.0 in words", head("GET / HTTP/2.0", "Host: a")],
    ["http/1.1 in small letters", head("GET / http/1.1", "Host: a")],
    [
      "a TLS ClientHello",
      `\x16\x03\x01\0\xa5\x01\0\0\xa1\x03\x03${"B".repeat(150)}`,
    ],
    ["the greeting of SSH", "SSH-2.0-OpenSSH_9.6\r\n"],
    ["the greeting of SMTP", "EHLO example.org\r\n"],
    ["four NULs", "\0\0\0\0\r\n\r\n"],
    ["HTTP/1.0", head("GET /shared/base.css HTTP/1.0"), { answers: [200] }],
    [
      "HTTP/1.0 that wants to stay",
      head("GET /shared/base.css HTTP/1.0", "Connection: keep-alive"),
      isFine,
    ],
    ["blank lines before a request", `\r\n\r\n${FILE}`, isFine],
    [
      "line ends without CR",
      "GET /shared/base.css HTTP/1.1\nHost: a\n\n",
      isFine,
    ],
    ["a request, byte by byte", FILE, { ...isFine, chop: 1 }],
  ]),
  ...area("RFC 9112 3", isBad, [
    ["two spaces before the target", head("GET  / HTTP/1.1", "Host: a")],
    ["tabs for spaces", head("GET\t/\tHTTP/1.1", "Host: a")],
    ["a space before the method", head(" GET / HTTP/1.1", "Host: a")],
    ["no target", head("GET HTTP/1.1", "Host: a")],
    ["a method with an @", head("G@T / HTTP/1.1", "Host: a")],
    ["a method with a parenthesis", head("G(T / HTTP/1.1", "Host: a")],
  ]),
  ...area("RFC 9110 9", { answers: [405], ends: GOES_ON }, [
    [
      "a method of 5,000 letters",
      head(`${"X".repeat(5_000)} / HTTP/1.1`, "Host: a"),
    ],
    ["get in small letters", head("get /shared/base.css HTTP/1.1", "Host: a")],
    ["TRACE", head("TRACE / HTTP/1.1", "Host: a")],
    ["DELETE", head("DELETE / HTTP/1.1", "Host: a")],
    ["PRI for the page", head("PRI / HTTP/1.1", "Host: a")],
    ["CONNECT to a host", head("CONNECT a:80 HTTP/1.1", "Host: a:80")],
  ]),
  ...area("RFC 9112 3.2", { answers: [400], ends: GOES_ON }, [
    // Each of these MUST be 400.
    ["no Host", head("GET /shared/base.css HTTP/1.1"), isFine],
    ["two Hosts", get("/shared/base.css", "Host: b"), {
      ...isBad,
      older: { ends: GOES_ON },
    }],
    ["an empty Host", head("GET / HTTP/1.1", "Host:")],
    ["a Host that is no ASCII", head("GET / HTTP/1.1", "Host: \xff")],
    ["a Host with a user", head("GET / HTTP/1.1", "Host: u:p@a")],
    ["a Host with a slash", head("GET / HTTP/1.1", "Host: a/b")],
    ["a Host with a space", head("GET / HTTP/1.1", "Host: a b")],
    ["a Host with port 99999", head("GET / HTTP/1.1", "Host: a:99999")],
  ]),
  ...area("RFC 9112 5", isBad, [
    ["a folded header", get("/", "X: a\r\n b")],
    ["a space before a colon", get("/", "X : a")],
    ["a header without a colon", get("/", "X")],
    ["a header without a name", get("/", ": a")],
    ["a header's name that is no ASCII", get("/", "X\xff: a")],
    ["NUL in a header", get("/", "X: a\0b")],
    ["CR in a header", get("/", "X: a\rb")],
    ["a header that is no ASCII", get("/", "X: \xff\xfe\x80"), isFine],
    ["100 headers", get("/", ...times(99, (i) => `X${i}: a`)), isFine],
    ["1,000 headers", get("/", ...times(999, (i) => `X${i}: a`)), {
      older: { answers: [431] },
    }],
    ["a header of 60,000 bytes", get("/", `X: ${"a".repeat(60_000)}`), isFine],
    ["a header of 100,000 bytes", get("/", `X: ${"a".repeat(100_000)}`), {
      older: isFine,
    }],
    [
      "a header's name of 100,000 bytes",
      get("/", `${"X".repeat(100_000)}: a`),
      {
        older: { answers: [431] },
      },
    ],
    ["a target of 60,000 bytes", get(`/${"a".repeat(60_000)}`), isNotFound],
    ["a target of 70,000 bytes", get(`/${"a".repeat(70_000)}`), {
      older: { answers: [414] },
    }],
  ]),
  ...area("RFC 9112 9", { answers: [], ends: HANGS_UP }, [
    ["nothing", ""],
    ["half a method", "GE"],
    ["half a head, byte by byte", get("/", "X: y").slice(0, -2), { chop: 1 }],
    ["60,000 bytes of a head without a line end", "X".repeat(60_000)],
    ["half of a handshake", get("/ws", "Upgrade: websocket").slice(0, -2)],
    ["the preface of HTTP/2", head("PRI * HTTP/2.0", "", "SM")],
  ]),
];

const targets: HttpCase[] = [
  ...area("RFC 9112 3.2", isBad, [
    ["the authority of CONNECT for GET", head("GET a:80 HTTP/1.1", "Host: a"), {
      older: { ends: GOES_ON },
    }],
    ["* for GET", get("*"), { older: { ends: GOES_ON } }],
    ["a target without a slash", get("shared/base.css")],
    ["a path for CONNECT", head("CONNECT / HTTP/1.1", "Host: a"), {
      older: { ends: GOES_ON },
    }],
    ["* for OPTIONS", head("OPTIONS * HTTP/1.1", "Host: a"), isNotFound],
    ["an absolute target", get("http://a/shared/base.css"), isFine],
    [
      "an absolute target elsewhere",
      get("http://b.example/shared/base.css"),
      isFine,
    ],
    [
      "an absolute target with a user",
      get("http://u:p@a/shared/base.css"),
      isRefused,
    ],
    ["an absolute target of FTP", get("ftp://a/shared/base.css"), isRefused],
    ["a space in the path", get("/a b")],
    ["NUL in the path", get("/\0")],
    ["DEL in the path", get("/\x7f")],
    ["bytes that are not UTF-8 in the path", get("/\xff\xfe")],
    ["bytes that are not UTF-8 in the query", get("/?\xff")],
    ["bytes of UTF-8 in the path", get("/\xc3\xa9"), {
      ...isRefused,
      oldest: isBad,
    }],
    ["quotes and brackets in the path", get('/"<>`{}|^'), {
      ...isRefused,
      older: isBad,
    }],
    ["a fragment", get("/shared/base.css#x"), isFine],
  ]),
  ...area("RFC 3986 2.1, 5.2.4", isNotFound, [
    ...[
      ["/%", "/%zz", "/%00", "/%ff%fe", "/%c0%ae%c0%ae/deno.json"],
      ["/..%2fdeno.json", "/..%5cdeno.json"],
      ["//evil.example/shared/base.css", "///shared/base.css"],
      [
        "//a@b:99999/x",
        "//shared/base.css",
        "/shared/base.css/",
        "/%73hared/base.css",
      ],
      ["/index.html%00.css", "/static/shared/base.css", "/.git/config"],
      ["/__proto__", "/constructor", "/ws/", "/WS", "/%77s", "/ws%3froom=a"],
    ].flat().map((path): Row => [path, get(path)]),
    // Read by this server otherwise than by a proxy before it.
    ...[
      ["/../deno.json", "/%2e%2e/deno.json", "/..\\deno.json", "/C:\\"],
      [
        "/.%2e/.%2e/.%2e/etc/passwd",
        "/\\evil.example/",
        "/a/../shared/base.css",
      ],
    ].flat().map((path): Row => [path, get(path), isRefused]),
    ["/shared/base.css?x=%zz", get("/shared/base.css?x=%zz"), isFine],
  ]),
];

const bodies: HttpCase[] = [
  ...area("RFC 9112 6", isBad, [
    [
      "two lengths that differ",
      `${post("Content-Length: 1", "Content-Length: 2")}xx`,
    ],
    ["two lengths in one line", `${post("Content-Length: 1, 1")}x`],
    ["a length below 0", `${post("Content-Length: -1")}x`],
    ["a length with a +", `${post("Content-Length: +1")}x`],
    ["a length in hexadecimal", `${post("Content-Length: 0x1")}x`],
    ["an empty length", post("Content-Length:")],
    ["a length beyond 2^64", `${post(`Content-Length: ${"9".repeat(23)}`)}x`],
    [
      "two lengths that agree",
      `${post("Content-Length: 1", "Content-Length: 1")}x`,
      { answers: [405], ends: GOES_ON },
    ],
    ...[0, 1].map((i): Row => {
      const fields = ["Content-Length: 4", "Transfer-Encoding: chunked"];
      const inOrder = i === 0 ? fields : fields.toReversed();
      return [
        `${inOrder.join(" and ")}, then a smuggled request`,
        `${post(...inOrder)}0\r\n\r\n${get("/smuggled")}`,
        // The length is passed over, and nothing may follow.
        { older: { answers: [405] } },
      ];
    }),
    ...[
      ["an unknown coding", "Transfer-Encoding: xchunked"],
      ["a coding with a space before the colon", "Transfer-Encoding : chunked"],
      ["another coding after chunked", "Transfer-Encoding: chunked, identity"],
    ].map(([what = "", field = ""]): Row => [
      what,
      `${post(field)}0\r\n\r\n`,
    ]),
    [
      "chunked twice",
      `${post("Transfer-Encoding: chunked, chunked")}0\r\n\r\n`,
      { older: { answers: [405] } },
    ],
    [
      "chunked in HTTP/1.0",
      head("POST / HTTP/1.0", "Transfer-Encoding: chunked") + "0\r\n\r\n",
    ],
  ]),
  ...area("RFC 9112 7.1", {
    answers: [],
    ends: IS_CUT,
  }, [
    ...["-1", "zz", "f".repeat(18), "0x1", ""].map((size): Row => [
      `a chunk of "${size}" bytes`,
      `${post("Transfer-Encoding: chunked")}${size}\r\nx\r\n0\r\n\r\n`,
      { older: { answers: [405] } },
    ]),
    [
      "a chunk with an extension of 20,000 bytes",
      `${post("Transfer-Encoding: chunked")}1;${"a".repeat(20_000)}\r\nx\r\n` +
      "0\r\n\r\n",
      { answers: [405] },
    ],
    [
      "a trailer of 70,000 bytes",
      `${post("Transfer-Encoding: chunked")}0\r\nX: ${"a".repeat(70_000)}` +
      "\r\n\r\n",
      { answers: [405] },
    ],
  ]),
  ...area("RFC 9110 9.3.1", isFine, [
    [
      "a body for GET",
      `${get("/shared/base.css", "Content-Length: 5")}hello`,
    ],
    [
      "a request as a body for GET",
      get("/shared/base.css", `Content-Length: ${FILE.length}`) + FILE,
    ],
    [
      "a body of 500,000 bytes for GET",
      get("/shared/base.css", "Content-Length: 500000") + "x".repeat(500_000),
      { ends: IS_CUT },
    ],
    [
      "a body that is never finished",
      `${get("/shared/base.css", "Content-Length: 50")}hello`,
      { ends: HANGS_UP },
    ],
    [
      "a body of 2^53 bytes that is never finished",
      `${post("Content-Length: 9007199254740993")}hello`,
      { answers: [405], ends: HANGS_UP },
    ],
    [
      "a body that waits for 100",
      post("Expect: 100-continue", "Content-Length: 5"),
      { answers: [100, 405], ends: HANGS_UP, older: { answers: [405] } },
    ],
    [
      "an expectation that is not known",
      `${post("Expect: 200-maybe", "Content-Length: 5")}hello`,
      { answers: [405] },
    ],
  ]),
];

const pipelines: HttpCase[] = area("RFC 9112 9.3.2", isFine, [
  ["ten requests in one write", FILE.repeat(10), {
    answers: times(10, () => 200),
  }],
  ["1,000 requests in one write", get("/nothing").repeat(1_000), {
    answers: times(1_000, () => 404),
  }],
  ["a bad request between good ones", `${FILE}BAD\r\n\r\n${FILE}`, {
    answers: [200, 400],
    ends: IS_CUT,
  }],
  [
    "a request after one that closes",
    get("/shared/base.css", "Connection: close") + FILE,
    { ends: IS_CUT },
  ],
]);

const fields = [
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13",
];
const upgrade = (...more: string[]) => get("/ws", ...fields, ...more);
/** A handshake in which other lines stand for the one that begins so. */
const upgradeBut = (name: string, ...instead: string[]) =>
  get("/ws", ...fields.filter((field) => !field.startsWith(name)), ...instead);

const is101 = { answers: [101], ends: GOES_ON };

/** A handshake, and these frames in the same write. */
const with101 = (...frames: Uint8Array[]) =>
  upgrade() + frames.map((bytes) => String.fromCharCode(...bytes)).join("");

const handshakes: HttpCase[] = [
  ...area("RFC 6455 4.2.1", { answers: [426], ends: GOES_ON }, [
    ["no Upgrade", upgradeBut("Upgrade")],
    ["another Upgrade", upgradeBut("Upgrade", "Upgrade: h2c")],
    [
      "an Upgrade to websocket/13",
      upgradeBut("Upgrade", "Upgrade: websocket/13"),
    ],
    ["no Connection", upgradeBut("Connection")],
    [
      "Connection: keep-alive",
      upgradeBut("Connection", "Connection: keep-alive"),
    ],
    ["Connection: close", upgradeBut("Connection", "Connection: close"), {
      ends: IS_CUT,
    }],
    ["no key", upgradeBut("Sec-WebSocket-Key")],
    ...[
      ["an empty key", ""],
      ["a key of 5 bytes", "c2hvcnQ="],
      ["a key of 18 bytes", "dGhlIHNhbXBsZSBub25jZTEy"],
      ["a key that is no base64", "!!!!IHNhbXBsZSBub25jZQ=="],
      ["a key of 50,000 characters", "A".repeat(50_000)],
    ].map(([what = "", key]): Row => [
      what,
      upgradeBut("Sec-WebSocket-Key", `Sec-WebSocket-Key: ${key}`),
    ]),
    ["two keys", upgrade("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")],
    ["one key twice", upgrade(fields[2] ?? "")],
    ["no version", upgradeBut("Sec-WebSocket-Version")],
    ...["", "8", "14", "013", "+13", "13.0", "13, 8"].map((version): Row => [
      `version "${version}"`,
      upgradeBut("Sec-WebSocket-Version", `Sec-WebSocket-Version: ${version}`),
    ]),
    ["two versions", upgrade("Sec-WebSocket-Version: 8")],
    ["one version twice", upgrade(fields[3] ?? "")],
    ["POST", upgrade().replace("GET", "POST"), { answers: [405] }],
    ["HEAD", upgrade().replace("GET", "HEAD"), { answers: [405] }],
  ]),
  ...area("RFC 6455 4.2.1", is101, [
    ["WebSocket in large letters", upgradeBut("Upgrade", "Upgrade: WebSocket")],
    ["a list of upgrades", upgradeBut("Upgrade", "Upgrade: h2c, websocket")],
    ["two Upgrades", upgrade("Upgrade: h2c")],
    [
      "two Connections",
      upgradeBut("Connection", "Connection: keep-alive", "Connection: upgrade"),
    ],
    ["a handshake, byte by byte", upgrade(), { chop: 1 }],
    ["a handshake after a request", FILE + upgrade(), { answers: [200, 101] }],
    // An HTTP/1.0 request and one without Host MUST be refused.
    ["HTTP/1.0", upgrade().replace("HTTP/1.1", "HTTP/1.0"), {
      older: { ends: IS_CUT },
    }],
    ["no Host", upgrade().replace("Host: a\r\n", ""), isRefused],
    ["an absolute target", upgrade().replace("/ws", "http://b.example/ws")],
    [
      "an offer to compress",
      upgrade("Sec-WebSocket-Extensions: permessage-deflate"),
    ],
    ["garbage for extensions", upgrade('Sec-WebSocket-Extensions: ;;=,"')],
    ["a body that is expected", upgrade("Expect: 100-continue")],
    ["a body of 5 bytes", `${upgrade("Content-Length: 5")}hello`, {
      ...isBad,
      older: { ends: GOES_ON },
    }],
    ["a body of 0 bytes, as Java sends it", upgrade("Content-Length: 0"), {
      ...isBad,
      older: is101,
    }],
    [
      "a body in chunks",
      `${upgrade("Transfer-Encoding: chunked")}5\r\nhello\r\n0\r\n\r\n`,
      isBad,
    ],
  ]),
  ...area("RFC 6455 4.2.2", { answers: [400], ends: GOES_ON }, [
    ...["Partyline.v1", "\xff", "partyline.v2", "partyline.v1;x", "a b", "x;y"]
      .map((offer): Row => [
        `the subprotocol "${offer}"`,
        upgrade(`Sec-WebSocket-Protocol: ${offer}`),
      ]),
    ["no subprotocol in a list", upgrade("Sec-WebSocket-Protocol: ,,"), is101],
    ["an empty subprotocol", upgrade("Sec-WebSocket-Protocol:"), is101],
    [
      "a subprotocol of 257 characters",
      upgrade(`Sec-WebSocket-Protocol: ${"x".repeat(257)}`),
    ],
    ...["", "A", "%00", "%zz", "%ff", "a%20", "a&room=B", "a".repeat(60_000)]
      .map((room): Row => [
        `the room "${room.slice(0, 10)}"`,
        upgrade().replace("/ws", `/ws?room=${room}`),
        room === "a&room=B" ? is101 : {},
      ]),
  ]),
  ...area("RFC 6455 10.2", { answers: [403], ends: GOES_ON }, [
    ["an empty Origin", upgrade("Origin:")],
    ["an Origin that is no ASCII", upgrade("Origin: \xff")],
    ["two Origins", upgrade("Origin: http://a", "Origin: http://b")],
    [
      "an Origin of 50,000 bytes",
      upgrade(`Origin: http://${"a".repeat(50_000)}`),
    ],
    ["an Origin of another scheme", upgrade("Origin: ftp://a")],
    ["an Origin on another port", upgrade("Origin: http://a:81")],
    ["an Origin below the host", upgrade("Origin: http://b.a")],
  ]),
  ...area("RFC 6455 4.1", is101, [
    ["a frame in the same write", with101(text("early")), { says: ["early"] }],
    [
      "ten frames in the same write",
      with101(...times(10, (i) => text(`${i}`))),
      { says: times(10, (i) => `${i}`) },
    ],
    [
      "a ping in the same write",
      with101(ping("early"), text("then")),
      { says: ["then"] },
    ],
    [
      "a frame and half of one in the same write",
      with101(text("whole"), text("half").subarray(0, 8)),
      { says: ["whole"], ends: HANGS_UP },
    ],
    [
      "a reserved bit in the same write",
      with101(text("x", { reserved: 4 })),
      { ends: IS_CUT },
    ],
    [
      "a binary frame in the same write",
      with101(frame(Opcode.binary, "x")),
      { ends: closes(1003, "send text, not binary") },
    ],
    [
      "a close frame in the same write",
      with101(hex("88 82 00000000 03e8")),
      { ends: closes(1000) },
    ],
    ["another request after the handshake", upgrade() + FILE, { ends: IS_CUT }],
    ["another handshake after it", upgrade() + upgrade(), { ends: IS_CUT }],
  ]),
];

const conditions: HttpCase[] = area("RFC 9110 13, 14", isFine, [
  ...[
    "Range: bytes=0-9",
    "Range: bytes=9-0",
    "Range: bytes=99999999999999999999-",
    `Range: bytes=${"0-,".repeat(1_000)}0-`,
    'If-None-Match: "',
    'If-None-Match: W/,,"\xff",W/""',
    "If-None-Match:",
    `If-None-Match: ${'"x", '.repeat(5_000)}"x"`,
    'If-Match: "x"',
    "If-Modified-Since: never",
    "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT",
    "If-Unmodified-Since: 0",
    "Accept-Encoding: br;q=2, gzip;q=-1, *;q=0",
    "Accept-Encoding: identity;q=0",
    "Accept-Encoding: *;q=0",
    "Accept-Encoding: ;;;=\xff",
    `Accept-Encoding: ${"gzip,".repeat(5_000)}`,
    "Accept: application/json",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA",
    `Cookie: ${"=".repeat(10_000)}`,
  ].map((field): Row => [
    field.slice(0, 50).replace(/\r\n.*/s, ""),
    get("/shared/base.css", field),
  ]),
  ["If-None-Match: *", get("/shared/base.css", "If-None-Match: *"), {
    answers: [304],
  }],
]);

export const http = [
  ...heads,
  ...targets,
  ...bodies,
  ...pipelines,
  ...handshakes,
  ...conditions,
];
