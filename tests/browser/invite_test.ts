// The address that the page gives for sharing, in Chromium: never one that only
// this computer can open, where the server knows of another.
import { assert, assertEquals } from "@std/assert";
import { encode } from "uqr";
import { startServer } from "../support/harness.ts";
import { DESKTOP, PHONE, Tab, test } from "./tab.ts";

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

test("both addresses stand there whole, and each is copied by its button", async () => {
  await using server = await startServer({ host: "0.0.0.0" }, {
    interfaces: () => [own("192.168.178.120")],
  });
  const { port } = server;
  await using tab = await Tab.join(`http://localhost:${port}/?room=physics`);
  await tab.page.context().grantPermissions([
    "clipboard-read",
    "clipboard-write",
  ]);
  const host = `192.168.178.120:${port}`;
  await sharesWith(tab, `http://${host}/?room=physics`);
  await openPanel(tab);
  const forPrograms = "the WebSocket’s address";
  const panel = tab.page.locator("#panel");
  for (
    const [label, name, address] of [
      ["Share this address", "Copy", `http://${host}/?room=physics`],
      [
        `For a program: ${forPrograms}`,
        `Copy ${forPrograms}`,
        `ws://${host}/ws?room=physics`,
      ],
    ] as const
  ) {
    await panel.getByRole("button", { name, exact: true }).click();
    await tab.until(
      `navigator.clipboard.readText().then((it) => it === "${address}")`,
    );
    for (const viewport of [DESKTOP, PHONE]) {
      await tab.page.setViewportSize(viewport);
      const isWhole = await panel.getByLabel(label, { exact: true })
        .evaluate((it) => it.scrollWidth <= it.clientWidth);
      assert(isWhole, `${address} is cut off at ${viewport.width} px`);
    }
  }
  assertEquals(await panel.getByText("Copied.").count(), 2);
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

const code = ({ page }: Tab) =>
  page.getByRole("img", { name: "QR code of this address" });

/** Waits until the panel has the QR code of this address, in its light frame. */
async function hasCodeOf(tab: Tab, address: string): Promise<void> {
  const { data } = encode(address, { ecc: "L", border: 4 });
  const dark = data.flatMap((row, y) =>
    row.flatMap((isDark, x) => isDark ? [`M${x} ${y}h1v1h-1z`] : [])
  );
  await code(tab).locator(`path[d="${dark.join("")}"]`).waitFor();
  assertEquals(
    await code(tab).getAttribute("viewBox"),
    `0 0 ${data.length} ${data.length}`,
  );
}

test("the panel shows a QR code of the address that others can use, with the code that let this page in", async () => {
  await using server = await startServer(
    { host: "0.0.0.0", invite: "cuckoo" },
    { interfaces: () => [loopback, own("192.168.1.20")] },
  );
  const { port } = server;
  const page = `http://localhost:${port}/?room=physics`;
  const shared = `http://192.168.1.20:${port}/?room=physics`;
  await using tab = await Tab.join(`${page}#invite=cuckoo`);
  await openPanel(tab);
  await hasCodeOf(tab, `${shared}#invite=cuckoo`);
  const box = await code(tab).boundingBox();
  assert(box && box.width > 200 && Math.abs(box.width - box.height) < 1);
  // Whole without scrolling, and so is the part of the address that matters.
  await tab.page.setViewportSize(DESKTOP);
  const panel = await tab.page.locator("#panel").boundingBox();
  const seen = await code(tab).boundingBox();
  assert(panel && seen && seen.y + seen.height <= panel.y + panel.height);
  // Of a code that does not let in, nothing is shown.
  await using stranger = await Tab.open(`${page}#invite=magpie`);
  await stranger.codeField.waitFor();
  await openPanel(stranger);
  await hasCodeOf(stranger, shared);
  await sharesWith(stranger, shared);
});

test("there is no QR code of an address that only this computer can open", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  await note(tab).getByText("Only this computer can open this address")
    .waitFor();
  assertEquals(await code(tab).count(), 0);
});
