// The file that is handed out: made by `deno task compile`, run from an empty
// folder, used with a real client. Needs what `deno compile` needs; where that
// cannot be had it skips with the reason, except in CI.
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { startMutant } from "../mutants/mutant.ts";
import { Client, soon, START_DEADLINE_MS } from "../support/harness.ts";
import { TextReader } from "../support/text_reader.ts";
import { Example, talk } from "./examples.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const DENO = Deno.env.get("DENO_COMPILE") ?? Deno.execPath();

const compiled = await new Deno.Command(DENO, {
  args: ["task", "compile"],
  cwd: ROOT,
}).output();
const why = new TextDecoder().decode(compiled.stderr);
const isSkipped = !compiled.success && Deno.env.get("CI") === undefined;
const executable = `${ROOT}dist/partyline`;

/** A test of the executable; `skipped` says why it cannot be, if not "". */
function test(name: string, fn: () => Promise<void>, skipped = "") {
  Deno.test({
    name: `${name}${isSkipped ? " (skipped: deno compile failed)" : skipped}`,
    ignore: isSkipped || skipped !== "",
    fn: async () => {
      assert(compiled.success, why);
      await fn();
    },
  });
}

test("the executable prints its help", async () => {
  const { code, stdout } = await new Deno.Command(executable, {
    args: ["--help"],
  }).output();
  assertEquals(code, 0);
  assertStringIncludes(new TextDecoder().decode(stdout), "Usage: partyline");
});

test("the executable judges a server", async () => {
  await using right = startMutant();
  await using wrong = startMutant("POST is accepted");
  for (const [server, code] of [[right, 0], [wrong, 1]] as const) {
    const args = ["check", server.url.href, "--profile", "rfc6455"];
    const run = new Deno.Command(executable, { args });
    const ended = await soon(run.output(), "a verdict", START_DEADLINE_MS);
    assertEquals(new TextDecoder().decode(ended.stderr), "");
    assertMatch(
      new TextDecoder().decode(ended.stdout),
      new RegExp(`\n\\d{2} passed, ${code} failed, 0 warned, 0 skipped\n`),
    );
    assertEquals(ended.code, code);
  }
});

/** Runs in an empty folder until it is disposed of. */
async function startExecutable() {
  const cwd = await Deno.makeTempDir();
  const child = new Deno.Command(executable, {
    args: ["--port", "0"],
    cwd,
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const stdout = new TextReader(child.stdout);
  const banner = await stdout.until(/Ctrl-C/, START_DEADLINE_MS);
  return {
    host: /localhost:\d+/.exec(banner)?.[0],
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      assertEquals((await soon(child.status, "the end")).code, 0);
      await stdout.cancel();
      await Deno.remove(cwd, { recursive: true });
    },
  };
}

test("the executable serves the page and a room from an empty folder", async () => {
  await using server = await startExecutable();
  const page = await fetch(`http://${server.host}/`);
  assertMatch(await page.text(), /^<!doctype html>/i);
  await using client = await Client.open(`ws://${server.host}/ws`);
  assertEquals((await client.say("hello")).message, "hello");
});

const java = await Example.prepare("java_jdk.java");
Deno.test.afterAll(() => java[Symbol.asyncDispose]());

test("a client in Java talks with the executable", async () => {
  await using server = await startExecutable();
  await talk(java, `ws://${server.host}/ws`);
}, java.skipped);

test("no test package is in the executable", async () => {
  await Promise.resolve();
  const listing = new TextDecoder().decode(compiled.stdout) + why;
  assertStringIncludes(listing, "uqr");
  for (const name of ["playwright", "fast-check", "axe-core", "ws/"]) {
    assert(!listing.includes(name), listing);
  }
});
