// The page of the examples, without a browser: it tells of every client, and what it
// says to type is what the client's own first lines say.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { startServer } from "../support/harness.ts";
import { commandsOf, exampleFiles, FOLDER } from "../support/examples.ts";

const page = Deno.readTextFileSync(`${FOLDER}/index.html`);
const files = exampleFiles();

Deno.test("the page of the examples links each client, and nothing that is not there", async () => {
  await using server = await startServer();
  const links = [...page.matchAll(/\shref="([^"#]+)"/g)]
    .map(([, href = ""]) => href);
  const clients = links.filter((href) => !href.startsWith("../"));
  assertEquals(clients.sort(), files);
  for (const link of new Set(links)) {
    const answer = await fetch(new URL(link, `${server.http}/examples/`));
    await answer.body?.cancel();
    assertEquals(answer.status, 200, link);
  }
});

Deno.test("the page of the examples says to type what the clients say themselves", () => {
  const lists = [...page.matchAll(/<pre[^>]*type for ([^"]+)"[^>]*>([^<]+)</g)]
    .map(([, file = "", text = ""]) => [
      file,
      text.replaceAll("&lt;", "<").replaceAll("&amp;", "&").split("\n"),
    ]);
  assertEquals(
    Object.fromEntries(lists),
    Object.fromEntries(files.map((file) => [file, commandsOf(file)])),
  );
});

/** What a program prints about why it ends with 1, on one line. */
async function complaintOf(program: string, args: string[]): Promise<string> {
  const command = new Deno.Command(program, { args, stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  const [printed, told] = [stdout, stderr]
    .map((bytes) => new TextDecoder().decode(bytes));
  assertEquals([code, printed], [1, ""], told);
  assertMatch(told ?? "", /^.+\n$/);
  return told ?? "";
}

Deno.test("a client in Python without its package says what to install", async () => {
  for (const file of files.filter((file) => file.endsWith(".py"))) {
    // Without the folders of packages.
    const args = ["-S", "-I", `${FOLDER}/${file}`];
    const [install = ""] = commandsOf(file);
    assert((await complaintOf("python3", args)).includes(install), file);
  }
});

Deno.test("the client for Node's own WebSocket says so where there is none", async () => {
  const code = "delete globalThis.WebSocket; " +
    `await import("file://${FOLDER}/node_builtin.mjs")`;
  const told = await complaintOf(Deno.execPath(), ["eval", code]);
  assertMatch(told, /has no WebSocket: use Node 22 or newer\.$/m);
});

Deno.test("each client begins with what it is, how to start it and what it takes", () => {
  for (const file of files) {
    const [header = ""] = Deno.readTextFileSync(`${FOLDER}/${file}`)
      .split(/\n(?!#|\/\/)/);
    const text = header.replaceAll(/\n(#|\/\/) ?/g, " ");
    assertMatch(text, /^(#|\/\/) A chat client with /, file);
    assertMatch(text, /ws:\/\/localhost:8000\/ws if you give none/, file);
    assertMatch(text, /and needs /, file);
    const commands = commandsOf(file);
    assert(commands.at(-1)?.endsWith(" [ADDRESS]"), file);
    assert(commands.at(-1)?.includes(file), file);
  }
});

Deno.test("a client is shown by a browser as text, whatever its language", async () => {
  await using server = await startServer();
  for (const file of files) {
    const answer = await fetch(`${server.http}/examples/${file}`);
    const source = await Deno.readTextFile(`${FOLDER}/${file}`);
    assertEquals(await answer.text(), source);
    const { headers } = answer;
    assertEquals(headers.get("content-type"), "text/plain; charset=utf-8");
  }
});

Deno.test("the page of a folder is found without the slash, below a base too", async () => {
  for (const base of ["/", "/chat/"]) {
    await using server = await startServer({ base });
    const at = `${server.http}${base}examples`;
    const answer = await fetch(`${at}?a=b`, { redirect: "manual" });
    await answer.body?.cancel();
    assertEquals(answer.status, 308);
    assertEquals(answer.headers.get("location"), "examples/?a=b");
    const followed = await fetch(at);
    assertEquals(followed.url, `${at}/`);
    assertEquals(await followed.text(), page);
  }
});
