// The address that the page gives for sharing, in Chromium: never one that only
// this computer can open, where the server knows of another.
import { assert, assertEquals } from "@std/assert";
import { startServer } from "../support/harness.ts";
import { Tab, test } from "./tab.ts";

const own = (address: string, name = "wlan0"): Deno.NetworkInterfaceInfo => ({
  family: "IPv4",
  name,
  address,
  netmask: "255.255.255.0",
  scopeid: null,
  cidr: `${address}/24`,
  mac: "00:00:00:00:00:00",
});
const loopback = own("127.0.0.1", "lo");

const openPanel = (tab: Tab) =>
  tab.page.getByRole("button", { name: "Rooms" }).click();
const sharesWith = (tab: Tab, address: string) =>
  tab.until(
    `document.getElementById("invite-address").value === ${
      JSON.stringify(address)
    }`,
  );
const note = (tab: Tab) => tab.page.locator("#reach-note");

test("opened as localhost, the page shares the address in the network, as it is now", async () => {
  let address = "192.168.1.20";
  await using server = await startServer(
    { host: "0.0.0.0", invite: "cuckoo", base: "/chat/" },
    {
      interfaces: () => [loopback, own("172.17.0.1", "docker0"), own(address)],
    },
  );
  const { port } = server;
  await using tab = await Tab.join(
    `http://localhost:${port}/chat/?room=physics#invite=cuckoo`,
  );
  const shared = (address: string) =>
    `http://${address}:${port}/chat/?room=physics#invite=cuckoo`;
  await sharesWith(tab, shared(address));
  address = "10.0.0.7";
  await openPanel(tab);
  await sharesWith(tab, shared(address));
  assertEquals(await note(tab).textContent(), "");
  assertEquals(await tab.page.getByText("--lan").count(), 0);
});

test("a server for this computer only says so, and how others get in", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  await note(tab).getByText(
    "Only this computer can open this address. To let others in, stop " +
      "Partyline and start it again with --lan.",
    { exact: true },
  ).waitFor();
  await sharesWith(tab, `${server.http}/`);
});

test("a server in no network does not ask for --lan", async () => {
  await using server = await startServer({ host: "0.0.0.0" }, {
    interfaces: () => [loopback],
  });
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  await note(tab).getByText(
    "Only this computer can open this address, as it is in no network now.",
    { exact: true },
  ).waitFor();
});

test("a page that was opened by another name shares that name, and asks nothing", async () => {
  await using server = await startServer(
    { allowOrigin: ["*"], host: "0.0.0.0" },
    { interfaces: () => [own("192.168.1.20")] },
  );
  const address = `http://class.example:${server.port}/`;
  await using tab = await Tab.join(address);
  await sharesWith(tab, address);
  await openPanel(tab);
  await sharesWith(tab, address);
  assertEquals(await note(tab).textContent(), "");
});

test("what a program needs to join stands in the panel, whatever was said", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(`${server.http}/?room=physics`);
  await tab.say("hello");
  await openPanel(tab);
  const panel = tab.page.locator("#panel");
  const address = panel.getByLabel("For a program: the WebSocket’s address");
  assertEquals(await address.inputValue(), `${server.ws}?room=physics`);
  for (const name of ["client.js", "client.py"]) {
    const link = panel.getByRole("link", { name, exact: true });
    assert(await link.isVisible());
    const response = await tab.page.request.get(`${server.http}/${name}`);
    assertEquals(response.status(), 200);
    const { length } = (await response.text()).trim().split("\n");
    assert(70 < length && length < 90, `${name} is not about 80 lines`);
  }
});
