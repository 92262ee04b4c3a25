// The page "Check a server": its output is that of a real run, its points sum to
// 100 and are for checks that exist, and its script runs as it is shown.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { PROFILES } from "../../chat/check/check.ts";
import { check } from "../../chat/check/command.ts";
import { checksOf } from "../../chat/check/profiles.ts";
import { find, freePort, skip, start } from "../support/clients.ts";
import { codeOf, docsPage } from "../support/docs.ts";
import { soon, START_DEADLINE_MS } from "../support/harness.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

const FILES = [
  ["echo.points", "rfc6455"],
  ["chat.points", "chat"],
  ["v1.points", "partyline.v1"],
] as const;

const idsOf = (profile: typeof PROFILES[number]) =>
  checksOf(profile).map(({ id }) => id);

/** The lines of a file of points: the points, and the beginnings of ids. */
function rowsOf(file: string): { points: number; beginnings: string[] }[] {
  return codeOf("check", file).trimEnd().split("\n").map((line) => {
    const [points, ...beginnings] = line.replace(/#.*/, "").trim().split(/\s+/);
    return { points: Number(points), beginnings };
  });
}

for (const [file, profile] of FILES) {
  Deno.test(`the points of ${file} sum to 100`, () => {
    const sum = rowsOf(file).reduce((sum, { points }) => sum + points, 0);
    assertEquals(sum, 100);
  });

  Deno.test(`${file} names checks of ${profile} that exist, and each in one line`, () => {
    const rows = rowsOf(file);
    const named = rows.flatMap(({ beginnings }) => beginnings);
    const ids = idsOf(profile);
    const isOf = (id: string) => (beginning: string) =>
      id.startsWith(beginning);
    const unknown = named.filter((it) => !ids.some((id) => isOf(id)(it)));
    assertEquals(unknown, []);
    const several = ids.filter((id) =>
      rows.filter((row) => row.beginnings.some(isOf(id))).length > 1
    );
    assertEquals(several, []);
  });
}

for (
  const [file, profile, own] of [[...FILES[1], "chat-"], [
    ...FILES[2],
    "v1-",
  ]] as const
) {
  Deno.test(`${file} has points for each check that begins with ${own}`, () => {
    const named = rowsOf(file).flatMap(({ beginnings }) => beginnings);
    const left = idsOf(profile).filter((id) =>
      id.startsWith(own) && !named.some((beginning) => id.startsWith(beginning))
    );
    assertEquals(left, []);
  });
}

Deno.test("every id and every profile in a command of the page exists", () => {
  const page = docsPage("check");
  const ids = new Set(PROFILES.flatMap(idsOf));
  const only = [...page.matchAll(/--(?:only|except) ([a-z][\w,-]+)/g)]
    .flatMap(([, list = ""]) => list.split(","));
  assert(only.length > 0, "no id was found");
  assertEquals(only.filter((id) => !ids.has(id)), []);
  const profiles = [...page.matchAll(/--profile ([\w.]+)/g)];
  assert(profiles.length > 0, "no profile was found");
  for (const [, name = ""] of profiles) {
    assert(PROFILES.some((profile) => profile === name), name);
  }
});

/** Starts a server that tells its port, and returns its address. */
async function serverOf(
  args: string[],
  path: string,
  where: "stdout" | "stderr" = "stdout",
) {
  // A process of its own: a check may leave before a handshake ends, and the
  // time-outs for that outlive a test.
  const child = start([Deno.execPath(), ...args]);
  const told = await child[where].until(/"port":\d+/, START_DEADLINE_MS);
  const [, port] = /"port":(\d+)/.exec(told) ?? [];
  return {
    url: `ws://127.0.0.1:${port}${path}`,
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

/** An echo that sends back the `data` for which this expression holds. */
function echoOf(isSentBack: string) {
  const code = `Deno.serve({
    port: 0,
    hostname: "127.0.0.1",
    onListen: ({ port }) => console.log(JSON.stringify({ port })),
  }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (socket.readyState === 1 && (${isSentBack})) socket.send(data);
    };
    return response;
  });`;
  return serverOf(["eval", "--no-lock", code], "/ws");
}

Deno.test("the verdict on the page is that of a real run", async () => {
  await using server = await echoOf("data.length < 65536");
  const shown = codeOf("check", "A verdict").trimEnd();
  const [, command = "", output = ""] =
    /^\$ partyline check ((?:.*\\\n)*.*)\n([^]*)$/.exec(shown) ?? [];
  const [address = "", ...args] = command.split(/[\s\\]+/);
  const lines: string[] = [];
  const print = (line: string) => lines.push(line);
  assertEquals(await check([server.url, ...args], print, print), 1);
  const unmarked = (text: string) => text.replaceAll(/check-[\da-f]{12}/g, "…");
  assertEquals(
    unmarked(lines.join("\n").replace(server.url, address)),
    unmarked(output),
  );
});

Deno.test("the page names the fields of --json", async () => {
  await using server = await echoOf("true");
  const lines: string[] = [];
  const print = (line: string) => lines.push(line);
  const args = [server.url, "--profile", "rfc6455", "--json"];
  await check([...args, "--only", "ping-payload"], print, print);
  const verdict = JSON.parse(lines.join("\n"));
  const fields = [verdict, verdict.checks[0]].flatMap((it) => Object.keys(it));
  const [, section = ""] = /<section id="programs"([^]*?)<\/section>/
    .exec(docsPage("check")) ?? [];
  const named = [...section.matchAll(/<code\s*>(\w+)<\/code/g)]
    .map(([, name]) => name);
  assertEquals(new Set(named), new Set([...fields, "id"]));
});

Deno.test("the page has at most 900 words besides its code", () => {
  const [, main = ""] = /<main>([^]*)<\/main>/.exec(docsPage("check")) ?? [];
  const words = main.replaceAll(/<pre[^]*?<\/pre>/g, "")
    .replaceAll(/<[^>]*>/g, "").trim().split(/\s+/);
  assert(words.length <= 900, `${words.length} words`);
});

const python = await find(["python3"], "--version");
const skipped = skip(python !== undefined, "Python 3");
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: `${name}${skipped}`, ignore: skipped !== "", fn });

/** Runs the page's script in a folder with the page's files, as in a course. */
async function grade(url: string, profile: string, file: string, own = "") {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["grade.sh", ...FILES.map(([name]) => name)]) {
      await Deno.writeTextFile(`${folder}/${name}`, codeOf("check", name));
    }
    await Deno.writeTextFile(`${folder}/own.points`, own);
    const partyline = `#!/bin/sh\nexec '${Deno.execPath()}' run --no-lock ` +
      `--quiet --allow-all '${MAIN}' "$@"\n`;
    await Deno.writeTextFile(`${folder}/partyline`, partyline, { mode: 0o755 });
    const shown = codeOf("check", "Count the points").trim().split(" ");
    const [command = "", script = ""] = shown;
    const running = new Deno.Command(command, {
      args: [script, url, profile, file],
      cwd: folder,
      env: { PATH: `${folder}:${Deno.env.get("PATH")}` },
      stdin: "null",
    }).output();
    const ended = await soon(running, "points", START_DEADLINE_MS);
    const [out = "", error = ""] = [ended.stdout, ended.stderr]
      .map((bytes) => new TextDecoder().decode(bytes));
    return { code: ended.code, lines: out.split("\n"), error };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

test("the script counts the points of this server's echo", async () => {
  const run = ["run", "--no-lock", "--quiet", "--allow-all"];
  const options = ["--port", "0", "--data", ":memory:", "--log", "json"];
  await using server = await serverOf(
    [...run, MAIN, ...options],
    "/echo",
    "stderr",
  );
  const { code, lines } = await grade(server.url, "rfc6455", "echo.points");
  assertEquals(code, 0);
  assert(lines.includes(" 20.0 of  20  text-back binary-back"), `${lines}`);
  // Deno lets pass some of the bad frames, for which there are few points.
  assertMatch(lines.at(-2) ?? "", /^ 9\d\.\d of 100$/);
});

test("the script takes off the points of what fails or is skipped", async () => {
  await using server = await echoOf('typeof data === "string"');
  const { code, lines } = await grade(server.url, "rfc6455", "echo.points");
  assertEquals(code, 0);
  assert(lines.includes(" 10.0 of  20  text-back binary-back"), `${lines}`);
});

test("the script ends with 2 and no points where no server answers", async () => {
  const url = `ws://127.0.0.1:${await freePort()}/ws`;
  const { code, lines } = await grade(url, "rfc6455", "echo.points");
  assertEquals([code, lines], [2, [""]]);
});

test("the script passes over empty lines and comments, and adds the points up", async () => {
  await using server = await echoOf("true");
  const own = "\ufeff# mine\r\n\r\n5 text-back # back\r\n   \n2 ping-payload";
  const { code, lines } = await grade(server.url, "rfc6455", "own.points", own);
  assertEquals([code, lines], [0, [
    "  5.0 of   5  text-back",
    "  2.0 of   2  ping-payload",
    "  7.0 of 7",
    "",
  ]]);
});

for (
  const [what, own, says] of [
    [
      "an id with a typing error",
      "5 text-bcak",
      "no check begins with text-bcak",
    ],
    [
      "one of several ids that is wrong",
      "5 text-back chat-once",
      "no check begins with chat-once",
    ],
    ["points alone", "5", "not points and ids: 5"],
    ["ids alone", "text-back", "not points and ids: text-back"],
  ] as const
) {
  test(`the script names ${what}, and counts no points`, async () => {
    await using server = await echoOf("true");
    const ended = await grade(server.url, "rfc6455", "own.points", own);
    assertEquals(ended, {
      code: 2,
      lines: [""],
      error: `grade.sh: ${says}\n`,
    });
  });
}

test("the script names a file that is not there", async () => {
  const { code, lines, error } = await grade("ws://localhost/", "chat", "my");
  assertEquals([code, lines], [2, [""]]);
  assertEquals(error, "grade.sh: cannot read the file 'my'\n");
});

Deno.test("the workflow runs the script on one of the page's files, with its profile", () => {
  const workflow = codeOf("check", "grade.yml");
  const [, profile, file] = /sh grade\.sh \S+ (\S+) (\S+)/.exec(workflow) ?? [];
  assert(FILES.some(([name, of]) => name === file && of === profile));
});
