// `partyline check` as people run it: a process of its own with the permissions of
// `deno task start`, its words, its exit codes, and the forms that programs read.
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { check as checkIn } from "../../chat/check/command.ts";
import { checksOf } from "../../chat/check/profiles.ts";
import { Certificate } from "../../chat/http/certificate.ts";
import config from "../../deno.json" with { type: "json" };
import { find, freePort, skip } from "../support/clients.ts";
import { soon, START_DEADLINE_MS, startServer } from "../support/harness.ts";
import {
  sent,
  startHostile,
  untilClosed,
  upgrade,
  write,
} from "../mutants/hostile.ts";
import { Dice } from "../stress/dice.ts";
import { Opcode } from "../../chat/check/frames.ts";
import { Chat } from "../mutants/chat_mutants.ts";
import { startMutant } from "../mutants/mutant.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const CERTIFICATES = new URL("../support/certificates/", import.meta.url)
  .pathname;

/** The last line after a failure. */
const MEND = "Mend the first failure first: later ones may follow from it.\n";

const ONE = ["--only", "handshake-status"];

function command(args: string[]): string[] {
  const [, ...start] = config.tasks.start.replaceAll("'", "").split(" ");
  return [Deno.execPath(), ...start, "check", ...args];
}

async function run([program = "", ...args]: string[]) {
  const output = new Deno.Command(program, { args, cwd: ROOT }).output();
  const ended = await soon(output, "the program's end", START_DEADLINE_MS);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const { code } = ended;
  return { code, stdout: text(ended.stdout), stderr: text(ended.stderr) };
}

const check = (...args: string[]) => run(command(args));

/** The same without a process of its own, for what is refused at once. */
async function checkHere(...args: string[]) {
  const printed: string[] = [];
  const complaints: string[] = [];
  const code = await checkIn(
    args,
    (line) => printed.push(line),
    (line) => complaints.push(line),
  );
  return { code, stdout: printed.join("\n"), stderr: complaints.join("\n") };
}

Deno.test("a right server is told so line by line, and the exit code is 0", async () => {
  await using right = startMutant();
  const { href } = right.url;
  const { code, stdout, stderr } = await check(href, "--profile=rfc6455");
  const lines = stdout.trimEnd().split("\n");
  const checks = checksOf("rfc6455");
  assertEquals([code, stderr], [0, ""]);
  assertEquals(lines, [
    `${href}, profile rfc6455`,
    ...checks.map(({ title }) => `ok    ${title}`),
    `${checks.length} passed, 0 failed, 0 warned, 0 skipped`,
  ]);
});

Deno.test("a fault is told with the rule and how to see it again, and the exit code is 1", async () => {
  await using wrong = startMutant("POST is accepted");
  const { href } = wrong.url;
  const { code, stdout } = await check(href, "--only", "handshake-post");
  assertEquals([code, stdout], [
    1,
    `${href}, profile chat\n` +
    "FAIL  A handshake with another method than GET is refused\n" +
    "      A handshake with the method POST was answered with 101. The answer must\n" +
    "      be a refusal, such as 400.\n" +
    "      RFC 6455 section 4.2.1\n" +
    "      To run it alone: --only handshake-post\n" +
    "0 passed, 1 failed, 0 warned, 0 skipped\n" + MEND,
  ]);
});

Deno.test("a warning and a skipped check leave the exit code at 0", async () => {
  await using warned = startMutant("each close frame is answered with 1000");
  const code = ["--only", "close-code-sent-back"];
  const first = await check(warned.url.href, ...code);
  assertEquals(first.code, 0);
  assertStringIncludes(
    first.stdout,
    "warn  The answer to a close frame has its code",
  );
  await using silent = startMutant("nothing comes back");
  const lengths = ["--only", "length-125,length-126", "--wait", "0.3"];
  const second = await check(silent.url.href, ...lengths);
  assertEquals(second.code, 0);
  // The reason is told once.
  assertEquals(second.stdout.match(/and did not get it back/g)?.length, 1);
  assertStringIncludes(second.stdout, "0 failed, 0 warned, 2 skipped\n");
});

Deno.test("--only runs what a check needs, and shows it only if it failed", async () => {
  await using server = startMutant("the accept value is the key");
  const only = ["--only", "handshake-accept-of-any-key"];
  const { code, stdout } = await check(server.url.href, ...only);
  assertEquals(code, 1);
  assertEquals(
    withoutDetail(stdout),
    `${server.url.href}, profile chat\n` +
      "FAIL  The accept value of the RFC's example is right\n" +
      "skip  The accept value is computed anew for each key\n" +
      "      It can only be tried when this holds: The accept value of the RFC's\n" +
      "      example is right.\n" +
      "0 passed, 1 failed, 0 warned, 1 skipped\n" + MEND,
  );
});

/** The lines without what is said of a failure. */
function withoutDetail(stdout: string): string {
  return stdout.replace(/^(FAIL .*\n)(?: {6}.*\n)+/gm, "$1");
}

Deno.test("--sender and --message take the names of fields", async () => {
  const other = "fields have other names";
  await using chat = startMutant(other, (has) => new Chat(has));
  const only = [chat.url.href, "--only", "chat-json", "--wait", "0.5"];
  const named = await checkHere(...only, "--sender", "name", "--message=text");
  assertEquals([named.code, named.stderr], [0, ""]);
  const unnamed = await checkHere(...only);
  assertEquals(unnamed.code, 1);
  assertStringIncludes(unnamed.stdout, "To run it alone: --only chat-json");
});

Deno.test("checks that are skipped for one reason are one block with their ids", async () => {
  await using silent = startMutant("nothing comes back");
  const ids = ["length-125", "length-126", "length-127"];
  const only = ["--only", ids.join(", "), "--only", "ping-payload"];
  const { href } = silent.url;
  const { stdout } = await checkHere(href, ...only, "--wait", "0.2");
  const [, , first, ...rest] = stdout.split("\n");
  assertEquals(first, `skip  ${ids.length} checks`);
  assertStringIncludes(rest.join(" ").replace(/\s+/g, " "), ids.join(", "));
  assertEquals(
    rest.at(-1),
    `1 passed, 0 failed, 0 warned, ${ids.length} skipped`,
  );
});

Deno.test("--except leaves checks out, which still run where others need them", async () => {
  await using wrong = startMutant("a pong has no payload");
  const { href } = wrong.url;
  const only = ["--only", "handshake-status,ping-", "--json", "--wait=0.2"];
  const { code, stdout } = await checkHere(href, ...only, "--except", "ping-");
  const { checks } = JSON.parse(stdout);
  assertEquals(code, 0);
  assertEquals(idsOf(checks), ["handshake-status"]);
  const needing = [
    "--only=mask-of-each-frame,ping-126-bytes",
    "--except=text-back",
  ];
  const other = await checkHere(href, ...needing, "--json", "--wait=0.2");
  const found = JSON.parse(other.stdout);
  assertEquals(idsOf(found.checks), [
    "ping-payload",
    "ping-126-bytes",
    "mask-of-each-frame",
  ]);
  assertEquals([found.passed, found.failed, found.skipped], [1, 1, 1]);
  const hidden = ["--only=ping-126-bytes", "--except=ping-payload"];
  const last = await checkHere(href, ...hidden, "--json", "--wait=0.2");
  assertEquals(idsOf(JSON.parse(last.stdout).checks), ["ping-126-bytes"]);
});

function idsOf(checks: readonly { id: string }[]): string[] {
  return checks.map(({ id }) => id);
}

Deno.test("--list shows what --only and --except leave, and --json prints it as JSON", async () => {
  const args = "--list --json --only=length-,text-back --except".split(" ");
  const { code, stdout } = await checkHere(...args, "length-0, length-125");
  assertEquals(code, 0);
  const wanted = checksOf("chat").filter(({ id }) =>
    /^(length-|text-back$)/.test(id) && !["length-0", "length-125"].includes(id)
  ).map(({ id, title, source }) => ({ id, title, source }));
  assertEquals(JSON.parse(stdout), wanted);
  const plain = await checkHere("--list", "--only", "text-back");
  assertEquals(plain.stdout.split(" ")[0], "text-back");
  assertEquals(plain.stdout.split("\n").length, 2);
});

Deno.test("--version prints the version", async () => {
  const { code, stdout } = await checkHere("--version");
  assertEquals([code, stdout], [0, `partyline ${config.version}`]);
});

Deno.test("a fault of this program is told at the end, and the exit code is 2", async () => {
  await using right = startMutant();
  const check = checksOf("chat").find(({ id }) => id === "ping-payload")!;
  const { run } = check;
  check.run = () => {
    throw new RangeError("odd \x1b[2J");
  };
  try {
    const only = [
      "--only",
      "handshake-status,ping-payload,ping-empty,text-back",
    ];
    const { code, stdout, stderr } = await checkHere(right.url.href, ...only);
    assertEquals(code, 2);
    assertStringIncludes(stdout, "ok    Text that a client sends comes back");
    assertStringIncludes(
      stdout.replace(/\s+/g, " "),
      "This check has a fault of its own: odd \\u{1b}[2J. Please report it.",
    );
    assertStringIncludes(stderr, "partyline check has a fault.");
    assertStringIncludes(stderr, "RangeError: odd \\u{1b}[2J");
    assertStringIncludes(stderr, "command_test.ts");
  } finally {
    check.run = run;
  }
});

Deno.test("where the time ends before the checks do, that is told, and the exit code is 2", async () => {
  await using right = startMutant();
  const slow = checksOf("chat").filter(({ id }) => id.startsWith("handshake-"));
  const runs = slow.map(({ run }) => run);
  // As if each took two waits of a server that is far away.
  const take = () => new Promise<void>((resolve) => setTimeout(resolve, 20));
  for (const check of slow) check.run = take;
  try {
    const args = ["--only", "handshake-,length-0,length-126", "--wait=0.01"];
    const { code, stdout, stderr } = await checkHere(right.url.href, ...args);
    assertEquals(code, 2, stdout);
    assertMatch(stderr, /^partyline check: Not all checks .* --wait, [^\n]*$/);
    assertStringIncludes(stdout, " 0 failed, ");
  } finally {
    for (const [i, check] of slow.entries()) check.run = runs[i]!;
  }
});

Deno.test("wrong arguments are told in one line, and the exit code is 2", async () => {
  const address = "ws://127.0.0.1:1/";
  const secure = "wss://127.0.0.1:1/";
  const cases: [args: string[], told: string][] = [
    [[], "Name the server to judge, such as ws://localhost:9000/ws."],
    [["http://localhost:1/ws"], "Did you mean ws://localhost:1/ws?"],
    [["https://localhost/"], "Did you mean wss://localhost/?"],
    [["localhost:9000"], '"localhost:9000" is not an address such as ws:'],
    [["localhost:9301/ws"], "Did you mean ws://localhost:9301/ws?"],
    [["127.0.0.1:9301"], "Did you mean ws://127.0.0.1:9301?"],
    [["[::1]:9301/?a"], "Did you mean ws://[::1]:9301/?a?"],
    [["ws://localhost:1/#a"], "A WebSocket's address has no part after #."],
    [["ws://a:b@localhost:1/"], "Leave the name and the password out"],
    [["ws://localhost:99999/"], "is not an address such as ws:"],
    [[address, "ws://b/"], 'Name one address, without "ws://b/".'],
    [
      [address, "--profile", "x"],
      "--profile takes rfc6455, chat, partyline.v1",
    ],
    [[address, "--bogus"], "Unknown option '--bogus'. See partyline check"],
    [[address, "--wait"], "argument missing. See partyline check --help."],
    [[address, "--only", "nope"], "--only takes ids such as handshake-status"],
    [[address, "--only", "nope-"], 'not "nope-". --list prints them.'],
    [[address, "--only", ","], "--only takes ids such as handshake-status."],
    [[address, "--only=text-bak"], "Did you mean text-back?"],
    [[address, "--except=handshake"], "Did you mean handshake-status?"],
    [
      [address, "--profile=rfc6455", "--only=chat-json"],
      "chat-json belongs to the profile chat.",
    ],
    [[address, "--only=v1-"], "v1- belongs to the profile partyline.v1."],
    [
      [address, "--only=text-back", "--except=text-"],
      "--only and --except leave no check.",
    ],
    [[address, "--ca", "main.ts"], "--ca is for wss:"],
    [[address, "--json", "--junit"], "--json and --junit cannot be used"],
    [[address, "--wait", "0"], '--wait takes seconds up to 60, not "0".'],
    [[address, "--wait", "61"], '--wait takes seconds up to 60, not "61".'],
    [[address, "--sender", "message"], "take the names of two fields"],
    [
      [secure, "--ca", "/none/x"],
      '"/none/x" cannot be read: there is no such',
    ],
    [[secure, "--ca", "main.ts"], '"main.ts" has no certificate in PEM form.'],
    [["\x1b[2J\u202e"], "[2J\\u{202e}"],
  ];
  for (const [args, told] of cases) {
    const { code, stdout, stderr } = await checkHere(...args);
    assertEquals([code, stdout], [2, ""], stderr);
    assert(stderr.startsWith("partyline check: "), stderr);
    assertStringIncludes(stderr, told);
    // deno-lint-ignore no-control-regex -- that is what must not be there
    assertMatch(stderr, /^[^\x00-\x1f\u202e]+$/);
  }
  const { code, stdout, stderr } = await check("--bogus");
  assertEquals([code, stdout], [2, ""]);
  assertMatch(stderr, /^partyline check: Unknown option '--bogus'.*\n$/);
});

Deno.test("where no server is, the reason is told, and the exit code is 2", async () => {
  await using plain = startMutant();
  const cases = [
    [`ws://127.0.0.1:${await freePort()}/`, "(Connection refused). Is the"],
    [`ws://[::1]:${await freePort()}/`, "No connection to [::1]:"],
    ["ws://no.invalid/", "No connection to no.invalid can be opened (there is"],
    [`wss://127.0.0.1:${plain.port}/`, "and does it speak TLS (wss:)?"],
  ];
  for (const [address = "", told = ""] of cases) {
    const { code, stdout, stderr } = await check(address, "--wait=0.5");
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, told);
  }
});

Deno.test("--json prints one object, whatever the server sends", async () => {
  await using server = startMutant("a handshake gets 200");
  const args = ["--profile", "rfc6455", "--json", "--wait", "0.5"];
  const { code, stdout } = await check(server.url.href, ...args);
  const verdict = JSON.parse(stdout);
  assertEquals(code, 1);
  const names = "url profile passed failed warned skipped checks".split(" ");
  assertEquals(Object.keys(verdict), names);
  const { url, profile, passed, failed, warned, skipped, checks } = verdict;
  assertEquals([url, profile], [server.url.href, "rfc6455"]);
  const { length } = checksOf("rfc6455");
  assertEquals([passed, failed, warned, skipped], [0, 1, 0, length - 1]);
  assertEquals(checks.length, length);
  for (const result of checks) {
    assertEquals(Object.keys(result), [
      ..."id title source status detail".split(" "),
    ]);
  }
  assertEquals(checks[0], {
    id: "handshake-status",
    title: "A right handshake is answered with 101",
    source: "RFC 6455 section 4.2.2",
    status: "failed",
    detail: "A handshake as in the example of the RFC was answered with " +
      '"HTTP/1.1 200 OK". It is a right handshake, so the answer must be 101. ' +
      "Is this the path of the WebSocket?",
  });
});

const python = await find(["python3", "/usr/bin/python3"], "-c", "");
const missing = skip(python !== undefined, "python3");

/** Reads XML and prints what graders read of it. */
const READ_XML = `
import json, sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.argv[1].encode())
suite = root.find("testsuite")
print(json.dumps([root.tag, suite.attrib, [
  [case.get("name"), [[part.tag, part.get("message")] for part in case]]
  for case in suite]]))`;

Deno.test({
  name:
    `--junit prints XML that a parser reads, whatever the server sends${missing}`,
  ignore: missing !== "",
  async fn() {
    const markup = "]]></failure><a b='\"'>&amp;&\ufffe\uffff\x00\x1b\u2028";
    await using server = startHostile(async (tcp) => {
      const bytes = new TextEncoder().encode(markup);
      const value = String.fromCharCode(...bytes).replace("\x00", "");
      await upgrade(tcp, [`Sec-WebSocket-Protocol: ${value}`]);
      await write(tcp, sent(Opcode.text, markup));
      await untilClosed(tcp);
    }, new Dice(1, 0));
    const only = ["--only", "handshake-no-subprotocol,handshake-accept"];
    const { href } = server.url;
    const { code, stdout } = await check(href, ...only, "--junit");
    assertEquals(code, 1);
    const read = await run([python!, "-c", READ_XML, stdout]);
    assertEquals(read.stderr, "");
    const [root, suite, cases] = JSON.parse(read.stdout);
    assertEquals([root, suite.tests, suite.failures], ["testsuites", "2", "1"]);
    assertEquals(suite.name, `partyline check ${href}`);
    assertEquals(cases[0], [
      "The accept value of the RFC's example is right",
      [],
    ]);
    const [, [[tag, message]]] = cases[1];
    assertEquals(tag, "failure");
    assertStringIncludes(message, `]]></failure><a b='"'>&amp;&`);
  },
});

Deno.test("--list prints each check of a profile with its source, and runs none", async () => {
  const { code, stdout } = await check("--list", "--profile", "rfc6455");
  assertEquals(code, 0);
  const words = stdout.split(/\s+/).join(" ").trim();
  const wanted = checksOf("rfc6455").map(({ id, title, source }) =>
    `${id} ${title} ${source}`
  );
  assertEquals(words, wanted.join(" "));
});

Deno.test("--help names each option", async () => {
  const { code, stdout } = await check("--help");
  assertEquals(code, 0);
  const options =
    "profile sender message only except list json junit wait ca version help";
  for (const option of options.split(" ")) {
    assertStringIncludes(stdout, `\n  --${option}`);
  }
  for (const line of stdout.split("\n")) assert(line.length <= 80, line);
});

Deno.test("wss: is judged with --ca, and without it the certificate is named", async () => {
  const file = `${CERTIFICATES}first`;
  const certificate = new Certificate(`${file}.pem`, `${file}.key`, Date.now);
  await using server = await startServer({}, {}, certificate);
  const { ws } = server;
  const trusted = await check(ws, ...ONE, "--ca", `${file}.pem`);
  assertEquals([trusted.code, trusted.stderr], [0, ""]);
  const wrong = `${CERTIFICATES}second.pem`;
  for (const args of [[], ["--ca", wrong]]) {
    const { code, stderr } = await check(ws, ...ONE, ...args);
    assertEquals(code, 2);
    assertStringIncludes(stderr, "invalid peer certificate");
    assertStringIncludes(stderr, "Name the certificate with --ca");
  }
  const plain = await check(ws.replace("wss:", "ws:"), ...ONE);
  assertEquals(plain.code, 1);
});

Deno.test("an address of IPv6, a query and no path are sent as they are", async () => {
  const heads: string[] = [];
  const handler = (request: Request) => {
    const { pathname, search } = new URL(request.url);
    heads.push(`${pathname}${search} ${request.headers.get("host")}`);
    return Deno.upgradeWebSocket(request).response;
  };
  await using six = Deno.serve(
    { hostname: "::1", port: 0, onListen() {} },
    handler,
  );
  const host = `[::1]:${six.addr.port}`;
  const query = await check(`ws://${host}/a/b?c=d%20e&f`, ...ONE);
  assertEquals(query.code, 0, query.stderr);
  const none = await check(`ws://${host}`, ...ONE);
  assertEquals(none.code, 0);
  assertEquals(heads, [`/a/b?c=d%20e&f ${host}`, `/ ${host}`]);
});

Deno.test("the program ends when the reader of its lines is gone", async () => {
  await using right = startMutant();
  const line = '"$@" | head -1; echo "${PIPESTATUS[0]}"';
  const program = command([right.url.href, "--profile=rfc6455"]);
  const ended = await run(["bash", "-c", line, "sh", ...program]);
  assertEquals([ended.stdout, ended.stderr], [
    `${right.url.href}, profile rfc6455\n0\n`,
    "",
  ]);
});
