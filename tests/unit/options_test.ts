// What options.ts promises: flags over environment over defaults, and a clear
// word on everything that is wrong.
import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  defaultOptions,
  helpText,
  isRedis,
  misspeltVariables,
  OptionError,
  type Options,
  parseOptions,
} from "../../chat/options.ts";
import { codeOf } from "../support/docs.ts";

function parse(line: string, env: Record<string, string> = {}): Options {
  const args = line.split(" ").filter(Boolean);
  const options = parseOptions(args, (name) => env[name]);
  assert(typeof options === "object");
  return options;
}

Deno.test("without options all defaults hold", () => {
  assertEquals(parse(""), defaultOptions());
  assertEquals(parse("").host, "127.0.0.1");
  assertEquals(parse("").port, 8000);
});

Deno.test("a flag takes its value with a space or an equals sign", () => {
  assertEquals(parse("--port 81 --max-clients=5").port, 81);
  assertEquals(parse("--port 81 --max-clients=5").maxClients, 5);
});

Deno.test("the environment sets options, and flags win over it", () => {
  const env = { PARTYLINE_PORT: "81", PARTYLINE_MAX_MESSAGE: "10" };
  assertEquals(parse("", env).maxMessage, 10);
  assertEquals(parse("--port 82", env).port, 82);
  assertEquals(parse("", { PARTYLINE_QUIET: "1" }).quiet, true);
  assertEquals(parse("", { PARTYLINE_QUIET: "no" }).quiet, false);
});

Deno.test("--lan listens on all interfaces", () => {
  assertEquals(parse("--lan").host, "0.0.0.0");
});

Deno.test("origins may be listed with commas or by repeating the flag", () => {
  const wanted = ["https://a.example", "http://b.example:81"];
  assertEquals(
    parse("--allow-origin https://a.example,http://b.example:81").allowOrigin,
    wanted,
  );
  assertEquals(
    parse("--allow-origin https://a.example --allow-origin http://b.example:81")
      .allowOrigin,
    wanted,
  );
});

Deno.test("--help and --version are told from options", () => {
  assertEquals(parseOptions(["--help"], () => undefined), "help");
  assertEquals(parseOptions(["--version"], () => undefined), "version");
});

for (
  const [line, complaint] of [
    ["--nope", "unknown option --nope"],
    ["--prot 81", "unknown option --prot: did you mean --port?"],
    ["--max-client 5", "did you mean --max-clients?"],
    ["--invitation x", "unknown option --invitation"],
    [`--${"port".repeat(9_999)}`, "unknown option --portport"],
    ["--lan --host 127.0.0.1", "--lan and --host cannot be used together"],
    ["--show", "unknown option --show"],
    ["-x", "unknown option -x"],
    ["--nope=1", "unknown option --nope"],
    ["physics", '"physics" is not an option'],
    ["--port", "--port needs a value"],
    ["--port=", "--port needs a value"],
    ["--port --lan", "--port needs a value"],
    ["--port 65536", "from 0 to 65535"],
    ["--port 80a", '"80a"'],
    ["--rate -1", '"-1"'],
    ["--burst 0", "--burst takes a whole number from 1"],
    ["--lan=maybe", "--lan must be yes or no"],
    ["--lan --host 10.0.0.1", "--lan and --host cannot be used together"],
    ["--max-message 200000", "--send-limit must be at least 6 times"],
    ["--allow-origin example.org", "begins with a scheme"],
    ["--allow-origin localhost:3000", "begins with a scheme"],
    ["--allow-origin //example.org", "begins with a scheme"],
    ["--allow-origin https://example.org/chat", "no path after it"],
    ["--allow-origin https://example.org?x", "no path after it"],
    ["--allow-origin https://u@example.org", "no path after it"],
    ["--allow-origin capacitor://localhost/x", "no path after it"],
    ["--allow-origin https://*.example.org", "patterns are not supported"],
    ["--allow-origin http://localhost:*", "patterns are not supported"],
    ["--allow-origin *,https://*", "patterns are not supported"],
    ["--allow-origin ws://example.org", "begins with http:// or https://"],
    ["--allow-origin https://", "origins such as"],
    ["--allow-origin chrome-extension://", "origins such as"],
    ["--allow-origin https://a:99999", "origins such as"],
    ["--base /a//b", "a path such as /chat/"],
    ["--base //chat", "a path such as /chat/"],
    ["--base /a/../b", "a path such as /chat/"],
    ["--base /.", "a path such as /chat/"],
    ["--base /a%20b", '"/a%20b"'],
    ["--base /chat?x", '"/chat?x"'],
    ["--base /chat#x", '"/chat#x"'],
    ["--base http://a.example/chat", "a path such as /chat/"],
    ["--base \\chat", "a path such as /chat/"],
    ["--base /chät", "a path such as /chat/"],
    ["--base=", "--base needs a value"],
    ["--trust-proxy proxy.example", '"proxy.example"'],
    ["--trust-proxy 10.0.0.1,", "has an extra comma"],
    ["--allow-origin https://a.example,", "has an extra comma"],
    ["--max-frame 3999", "--max-frame must be at least --max-message"],
    [
      "--invite otter-party-2026 --moderator otter-party-2026",
      "--invite and --moderator must differ",
    ],
    ["--show-moderator --quiet", "which --quiet and --log json leave out"],
    ["--show-moderator --log json", "which --quiet and --log json leave out"],
    ["--redis-ca ca.pem", "--redis-ca can only be used with --data rediss://"],
    ["--data :Memory:", ":memory: in lower case"],
    ["--trust-proxy 10.0.0.256", "CIDR blocks such as"],
    ["--trust-proxy 10.0.0.0/33", "CIDR blocks such as"],
    ["--trust-proxy fd00::/129", "CIDR blocks such as"],
    ["--trust-proxy 10.0.0.0/", "CIDR blocks such as"],
    ["--trust-proxy 10.0.0.0/8/8", "CIDR blocks such as"],
    ["--trust-proxy 10.0.0.0/1e1", "CIDR blocks such as"],
    ["--trust-proxy fe80::1%eth0", "CIDR blocks such as"],
    ["--trust-proxy *", "CIDR blocks such as"],
    ["--invite=", "--invite needs a value"],
    [`--invite ${"x".repeat(11)}`, "12 to 64 ASCII characters"],
    [`--invite ${"x".repeat(65)}`, "12 to 64 ASCII characters"],
    ["--invite cuckoo", "only a long code cannot be guessed"],
    [`--moderator ${"x".repeat(11)}`, "--moderator takes 12 to 64"],
    ["--invite otter-pärty-2026", "ASCII characters without spaces"],
  ] as const
) {
  Deno.test(`"${line}" is refused with a reason`, () => {
    const error = assertThrows(() => parse(line), OptionError);
    assertStringIncludes(error.message, complaint);
  });
}

Deno.test("origins of every scheme are taken, and written as browsers do", () => {
  assertEquals(
    parse(
      "--allow-origin HTTPS://Chat.Example.ORG:443/,chrome-extension://abc," +
        "capacitor://localhost,file://,null,*",
    ).allowOrigin,
    [
      ...["https://chat.example.org", "chrome-extension://abc"],
      ...["capacitor://localhost", "null", "null", "*"],
    ],
  );
});

Deno.test("a base begins and ends with a slash, however it is given", () => {
  for (const text of ["chat", "/chat", "chat/", "/chat/"]) {
    assertEquals(parse(`--base ${text}`).base, "/chat/");
  }
  for (const text of ["/", "//"]) {
    assertEquals(parse(`--base ${text}`).base, "/");
  }
  assertEquals(parse("--base /~a/b-1/c_.d").base, "/~a/b-1/c_.d/");
});

Deno.test("trusted proxies are addresses and networks of both versions", () => {
  assertEquals(
    parse("--trust-proxy 10.0.0.1,fd00::/8 --trust-proxy ::1").trustProxy,
    ["10.0.0.1", "fd00::/8", "::1"],
  );
});

Deno.test("an invitation is not repeated in the complaint about it", () => {
  const secret = "päss-word-long";
  for (const args of [["--invite", secret], ["--invite", "a secret word"]]) {
    const error = assertThrows(
      () => parseOptions(args, () => undefined),
      OptionError,
    );
    assert(!/word/.test(error.message), error.message);
  }
  assertEquals(parse("--invite !~,+&#=%12345").invite, "!~,+&#=%12345");
});

Deno.test("a password is not repeated in the complaint about it", () => {
  const address = "redis://me:pass@word@host";
  const cases: [string[], Record<string, string>?][] = [
    [[address]],
    [["--data", `${address}/name`]],
    [["--log", `${address}?x`]],
    [["--data", address.replace("redis", "postgres")]],
    [[], { PARTYLINE_LOG: address }],
    [[], { PARTYLINE_DATA: "redis://me:pass/word@host" }],
  ];
  for (const [args, env = {}] of cases) {
    const { message } = assertThrows(
      () => parseOptions(args, (name) => env[name]),
      OptionError,
    );
    assert(!/pass|word/i.test(message.replace("PASSWORD", "")), message);
  }
});

Deno.test("the address of a Redis may be written in capitals", () => {
  assertEquals(parse("--data Redis://HOST:1").data, "redis://HOST:1");
  assert(isRedis("REDISS://host"));
  assertEquals(parse("--data redis.db").data, "redis.db");
});

Deno.test("a variable that is set and empty is not set, for every option", () => {
  const names: string[] = [];
  parseOptions([], (name) => void names.push(name));
  const empty = Object.fromEntries(names.map((name) => [name, ""]));
  assertEquals(names.length, Object.keys(defaultOptions()).length);
  assertEquals(parse("", empty), defaultOptions());
});

Deno.test("--lan and --host exclude each other from the environment too", () => {
  assertThrows(
    () => parse("--lan", { PARTYLINE_HOST: "::1" }),
    OptionError,
    "--lan and PARTYLINE_HOST cannot be used together",
  );
  assertEquals(parse("--host ::1", { PARTYLINE_LAN: "no" }).host, "::1");
});

Deno.test("a variable that is an option's but for a slip is found", () => {
  const env: Record<string, string> = {
    PARTYLINE_PROT: "81",
    PARTYLINE_INVTE: "otter-party-2026",
    PARTYLINE_ROOMS: "5",
    PARTYLINE_BASSE: "",
    PARTYLINE_MAXCLIENTS: "5",
    PARTYLINE_MAX_ROOM: "5",
    PARTYLINE_ALLOW_ORIGINS: "*",
    PARTYLINE_RRATE: "5",
    PARTYLINE_KEEP: "5",
    PARTYLINE_PICTURES: "renew",
  };
  const found = misspeltVariables((name) => env[name])
    .map(({ name, likely }) => [name, likely]);
  assertEquals(found, [
    ["PARTYLINE_PROT", "PARTYLINE_PORT"],
    ["PARTYLINE_ALLOW_ORIGINS", "PARTYLINE_ALLOW_ORIGIN"],
    ["PARTYLINE_INVTE", "PARTYLINE_INVITE"],
    ["PARTYLINE_RRATE", "PARTYLINE_RATE"],
    ["PARTYLINE_MAXCLIENTS", "PARTYLINE_MAX_CLIENTS"],
    ["PARTYLINE_MAX_ROOM", "PARTYLINE_MAX_ROOMS"],
  ]);
  const all = misspeltVariables(() => "set").map(({ name }) => name);
  const names = new Set<string>();
  parseOptions([], (name) => void names.add(name));
  assertEquals(all.filter((name) => names.has(name)), []);
});

Deno.test("only an option that is a slip away is suggested", () => {
  const { message } = assertThrows(() => parse("--nope"), OptionError);
  assertEquals(message, "unknown option --nope");
});

Deno.test("a malformed variable is named in the error", () => {
  assertThrows(
    () => parse("", { PARTYLINE_MAX_ROOMS: "many" }),
    OptionError,
    "PARTYLINE_MAX_ROOMS",
  );
});

Deno.test("the help text names every option with its default", () => {
  const help = helpText();
  for (const key of Object.keys(defaultOptions())) {
    const flag = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    assertStringIncludes(help, `--${flag} `);
  }
  assertStringIncludes(help, "(8000)");
  assertEquals(help.split("\n").filter((line) => line.length > 80), []);
});

Deno.test("the page of the options lists them as --help does", () => {
  const rows = helpText().split("\n").filter((line) => /^ +--/.test(line));
  const listed = codeOf("options", "All options").trimEnd().split("\n");
  assertEquals(listed, rows.map((row) => row.trim()));
});
