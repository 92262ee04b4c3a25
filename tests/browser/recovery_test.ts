// What the page does when the line fails, in Chromium: nothing that was written
// or said is lost or shown twice, and who it is stays the same. The server that
// is killed is the real program, on a file of its own.
import { assert, assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import {
  Client,
  soon,
  START_DEADLINE_MS,
  startServer,
} from "../support/harness.ts";
import { TextReader } from "../support/text_reader.ts";
import { sendMany, Tab, test } from "./tab.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

interface Folder extends AsyncDisposable {
  file: string;
}

/** A place for a data file, removed after the test. */
async function makeFolder(): Promise<Folder> {
  const folder = await Deno.makeTempDir({ prefix: "partyline-" });
  return {
    file: `${folder}/log.db`,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** The real program; disposing of it is a SIGKILL. */
async function launch(file: string, port = 0) {
  const [, ...args] = config.tasks.start.replaceAll("'", "").split(" ");
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args, "--data", file, "--port", `${port}`],
    cwd: ROOT,
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const stdout = new TextReader(child.stdout);
  const banner = await stdout.until(/Ctrl-C/, START_DEADLINE_MS);
  let isKilled = false;
  return {
    port: Number(/localhost:(\d+)/.exec(banner)?.[1]),
    async [Symbol.asyncDispose]() {
      if (isKilled) return;
      isKilled = true;
      child.kill("SIGKILL");
      await child.status;
      await stdout.cancel();
    },
  };
}

const texts = async (tab: Tab) =>
  (await tab.messages()).map(({ text }) => text);

test("after a restart of the server the page comes back, text and all", async () => {
  await using folder = await makeFolder();
  const first = await startServer({ data: folder.file });
  await using tab = await Tab.join(first.http);
  await tab.say("before");
  await tab.composer.pressSequentially("half a thou");
  await first[Symbol.asyncDispose]();
  await tab.status("The server is shutting down.");
  await tab.composer.pressSequentially("ght");

  await using second = await startServer({
    port: first.port,
    data: folder.file,
  });
  await tab.line("Reconnected");
  await tab.status("Connected");
  assertEquals(await tab.page.locator("#status-note").textContent(), "");
  assertEquals(await tab.composer.inputValue(), "half a thought");
  await using client = await Client.open(second.ws);
  await tab.composer.press("Enter");
  assertEquals((await client.next()).message, "half a thought");
  await tab.line("half a thought");
  assertEquals(await tab.composer.inputValue(), "");
  assertEquals(await texts(tab), ["before", "half a thought"]);
});

test("what is too much to wait stays in the box, all else is sent", async () => {
  const first = await startServer();
  await using tab = await Tab.join(first.http);
  await first.drain(2_000);
  await tab.status("The server is shutting down.");
  const written = Array.from({ length: 65 }, (_, i) => `written ${i}`);
  // In one go, because each by hand takes a while.
  await tab.composer.evaluate((box, written) => {
    for (const text of written) {
      box.value = text;
      box.form.requestSubmit();
    }
  }, written.slice(0, 64));
  await tab.write("written 64");
  await tab.status(
    "Not sent yet: too many messages are waiting. Your text is kept.",
  );
  assertEquals(await tab.composer.inputValue(), "written 64");
  assertEquals(await tab.unsent.count(), 64);

  await using _second = await startServer({ port: first.port, rate: 0 });
  await tab.line("written 63");
  await tab.composer.press("Enter");
  await tab.line("written 64");
  assertEquals(await texts(tab), written);
  await tab.nothingUnsent();
});

test("“Try now” connects without waiting", async () => {
  const first = await startServer();
  await using tab = await Tab.join(first.http);
  await tab.stopClock();
  await first.drain(2_000);
  await tab.status("The server is shutting down.");
  await using _second = await startServer({ port: first.port });
  await tab.page.getByRole("button", { name: "Try now" }).click();
  await tab.status("Connected");
  assert(await tab.page.locator("#try-now").isHidden());
});

test("when the network is back the page connects at once", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  // So that no timer, only the event, can bring it back.
  await tab.stopClock();
  await tab.page.context().setOffline(true);
  await tab.status("Offline: this device has no network");
  await tab.page.context().setOffline(false);
  await tab.status("Connected");
  assertEquals(tab.sockets.length, 2);
});

test("what is written offline arrives once, for both, after what was said meanwhile", async () => {
  await using server = await startServer();
  await using ada = await Tab.join(server.http);
  await using bob = await Tab.join(server.http);
  await ada.say("one");
  await bob.line("one");
  await ada.page.context().setOffline(true);
  await ada.status("Offline: this device has no network");
  await ada.write("written offline");
  await ada.write("and more");
  await bob.say("said meanwhile");
  assertEquals(await ada.unsent.count(), 2);
  assertEquals(await texts(ada), ["one"]);

  await ada.page.context().setOffline(false);
  await ada.line("and more");
  await bob.line("and more");
  await ada.nothingUnsent();
  assertEquals(await texts(ada), [
    "one",
    "said meanwhile",
    "written offline",
    "and more",
  ]);
  assertEquals(await ada.messages(), await bob.messages());
  assertEquals(await ada.notes(), ["Reconnected"]);
});

test("an empty room is not called quiet while the page is not connected", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  const hint = tab.page.getByText("This room is quiet.");
  await hint.waitFor();
  await tab.page.context().setOffline(true);
  await hint.waitFor({ state: "hidden" });
});

test("a killed server costs nothing but a short “Reconnected”", async () => {
  await using folder = await makeFolder();
  await using first = await launch(folder.file);
  const { port } = first;
  await using ada = await Tab.join(`http://localhost:${port}`);
  await using bob = await Tab.join(`http://localhost:${port}`);
  await ada.renameTo("Ada");
  await bob.line("is now called Ada");
  for (let i = 0; i < 5; i++) {
    await ada.say(`ada ${i}`);
    await bob.line(`ada ${i}`);
    await bob.say(`bob ${i}`);
    await ada.line(`bob ${i}`);
  }
  const before = await ada.messages();
  // On its way, perhaps stored, when the server dies.
  await ada.write("ada in the storm");
  await first[Symbol.asyncDispose]();
  await ada.status("Reconnecting");
  await bob.status("Reconnecting");
  await bob.write("bob in the storm");

  await using _second = await launch(folder.file, port);
  for (const tab of [ada, bob]) {
    await tab.line("ada in the storm");
    await tab.line("bob in the storm");
    await tab.line("Reconnected");
    await tab.status("Connected");
    await tab.nothingUnsent();
  }
  await ada.say("ada after it");
  await bob.say("bob after it");
  await ada.line("bob after it");
  const after = await ada.messages();
  assertEquals(await bob.messages(), after);
  assertEquals(after.slice(0, 10), before);
  assertEquals(after.map(({ seq }) => seq), after.map((_, i) => i + 1));
  const storm = after.slice(10, 12).map(({ text }) => text);
  assertEquals(storm.sort(), ["ada in the storm", "bob in the storm"]);
  const names = new Set(
    after.map(({ sender, text }) => `${text.slice(0, 3)}: ${sender}`),
  );
  assertEquals(names.size, 2);
  assertEquals(await ada.notes(), ["is now called Ada", "Reconnected"]);
  assertEquals(await bob.notes(), ["is now called Ada", "Reconnected"]);
});

test("a tab whose connection was taken over says so, and “Use here” takes it back", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  const name = await tab.nameField.inputValue();
  const key = await tab.page.evaluate<string>(
    "sessionStorage['partyline.key']",
  );
  const other = await Client.join(server.ws, { key });
  assertEquals(other.welcome.sender, name);
  await tab.status("Not connected: you continued in another tab");
  await tab.write("not lost");
  assertEquals(tab.sockets.length, 1);
  await tab.page.getByRole("button", { name: "Use here" }).click();
  await tab.status("Connected");
  assertEquals((await soon(other.closed, "the close")).code, 4002);
  await tab.line("not lost");
  await tab.people(name);
});

test("a reload keeps the name and shows the newest fifty messages", async () => {
  await using server = await startServer({ rate: 0 });
  await using tab = await Tab.join(server.http);
  await tab.renameTo("Ada");
  await using client = await Client.open(server.ws);
  await sendMany(client, 0, 70);
  await tab.line("message 69");
  await tab.page.reload();
  await tab.status("Connected");
  await tab.line("message 69");
  const messages = await tab.messages();
  assertEquals(
    messages.map(({ seq }) => seq),
    Array.from({ length: 50 }, (_, i) => i + 21),
  );
  assertEquals(await tab.nameField.inputValue(), "Ada");
  await tab.people("Ada", await client.say("hi").then(({ sender }) => sender));
});

test("what was not sent yet survives a reload, and so does what is half written", async () => {
  await using server = await startServer({ rate: 0.5, burst: 2 });
  await using tab = await Tab.join(server.http);
  await tab.say("one");
  await tab.say("two");
  await tab.write("three");
  await tab.unsent.getByText("The page tries again.").waitFor();
  await tab.composer.fill("half a thou");
  await tab.page.reload();
  await tab.line("three");
  assertEquals(await tab.composer.inputValue(), "half a thou");
  assertEquals(await texts(tab), ["one", "two", "three"]);
  await tab.nothingUnsent();
  const senders = new Set((await tab.messages()).map(({ sender }) => sender));
  assertEquals(senders.size, 1);
});
