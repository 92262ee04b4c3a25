// The file that is handed out: made by `deno task compile`, run from an empty
// folder, used with a real client. Needs what `deno compile` needs; where that
// cannot be had it skips with the reason, except in CI.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Client, soon, START_DEADLINE_MS } from "../harness.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const DENO = Deno.env.get("DENO_COMPILE") ?? Deno.execPath();

const compiled = await new Deno.Command(DENO, {
  args: ["task", "compile"],
  cwd: ROOT,
}).output();
const why = new TextDecoder().decode(compiled.stderr);
const isSkipped = !compiled.success && Deno.env.get("CI") === undefined;
const executable = `${ROOT}dist/partyline`;

function test(name: string, fn: () => Promise<void>) {
  Deno.test({
    name: isSkipped ? `${name} (skipped: deno compile failed)` : name,
    ignore: isSkipped,
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

test("the executable serves the page and a room from an empty folder", async () => {
  const cwd = await Deno.makeTempDir();
  const child = new Deno.Command(executable, {
    args: ["--port", "0"],
    cwd,
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const stdout = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let banner = "";
  while (!banner.includes("Ctrl-C")) {
    banner +=
      (await soon(stdout.read(), "the banner", START_DEADLINE_MS)).value ?? "";
  }
  const host = /localhost:\d+/.exec(banner)?.[0];
  const page = await fetch(`http://${host}/`);
  assertStringIncludes(await page.text(), "<!doctype html>");
  {
    await using client = await Client.open(`ws://${host}/ws`);
    assertEquals((await client.say("hello")).message, "hello");
  }
  child.kill("SIGTERM");
  assertEquals((await soon(child.status, "the end")).code, 0);
  await stdout.cancel();
  await Deno.remove(cwd, { recursive: true });
});

test("no test package is in the executable", async () => {
  await Promise.resolve();
  const listing = new TextDecoder().decode(compiled.stdout) + why;
  assertStringIncludes(listing, "uqr");
  for (const name of ["playwright", "fast-check", "axe-core", "ws/"]) {
    assert(!listing.includes(name), listing);
  }
});
