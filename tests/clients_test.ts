// The two short clients that the README shows and the server hands out: they
// are run as a student would, and the README's text is held to the files.
import { assert, assertStringIncludes } from "@std/assert";
import {
  Client,
  soon,
  startServer,
  STATIC,
  type WireEvent,
} from "./harness.ts";

/** Runs a client, lets it say "hello", and gives back what it printed. */
async function chatWith(command: string, args: string[]): Promise<void> {
  await using server = await startServer();
  await using teacher = await Client.open(server.ws);
  await teacher.say("ready");
  const child = new Deno.Command(command, {
    args: [...args, server.ws],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const stdin = child.stdin.getWriter();
  const stdout = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let printed = "";
  async function waitFor(text: string) {
    while (!printed.includes(text)) {
      const { value, done } = await soon(stdout.read(), `"${text}" on stdout`);
      assert(!done, `the client ended after printing: ${printed}`);
      printed += value;
    }
  }
  // Only once it is in the room does a client see what is said.
  const [room] = server.lobby.rooms.values();
  while (room?.members.size !== 2) await new Promise((r) => setTimeout(r, 10));
  const greeting: WireEvent = await teacher.say("<b>welcome</b>");
  await waitFor(`${greeting.sender}: <b>welcome</b>\n`);
  await stdin.write(new TextEncoder().encode("hello\n"));
  const hello = await teacher.next();
  assert(hello.message === "hello", hello.message);
  await waitFor(`${hello.sender}: hello\n`);
  child.kill("SIGKILL");
  await child.status;
  await stdin.abort().catch(() => {});
  await stdout.cancel();
  const leave = await teacher.next();
  assert(leave.sender === hello.sender && leave.type === "leave");
}

Deno.test("client.js chats in Deno", async () => {
  await chatWith(Deno.execPath(), [
    "run",
    "--allow-net",
    `${STATIC}/client.js`,
  ]);
});

/** A Python that has the `websockets` package, if there is one. */
async function findPython(): Promise<string | undefined> {
  for (const python of ["python3", "/usr/bin/python3"]) {
    const trial = new Deno.Command(python, {
      args: ["-c", "import websockets"],
      stderr: "null",
    });
    if (await trial.output().then((end) => end.success, () => false)) {
      return python;
    }
  }
}

const python = await findPython();
const isSkipped = python === undefined && Deno.env.get("CI") === undefined;

Deno.test({
  name: `client.py chats in Python${
    isSkipped ? " (skipped: Python's package websockets is missing)" : ""
  }`,
  ignore: isSkipped,
  fn: async () => {
    assert(python, "Python's package websockets is missing");
    await chatWith(python, [`${STATIC}/client.py`]);
  },
});

Deno.test("the README shows both clients as they are", async () => {
  const root = new URL("..", import.meta.url);
  const readme = await Deno.readTextFile(new URL("README.md", root));
  for (
    const [file, language] of [["client.js", "js"], ["client.py", "python"]]
  ) {
    const code = await Deno.readTextFile(`${STATIC}/${file}`);
    assertStringIncludes(readme, `\`\`\`${language}\n${code}\`\`\`\n`);
  }
});
