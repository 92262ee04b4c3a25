// To whom /addresses tells the machine's addresses: to the page that somebody
// opened on this very machine, and to nobody behind a proxy, even one that hides
// that it is a proxy.
import { assertEquals } from "@std/assert";
import { RawClient, startServer } from "../support/harness.ts";

const lan: Deno.NetworkInterfaceInfo = {
  family: "IPv4",
  name: "wlan0",
  address: "192.168.1.20",
  netmask: "255.255.255.0",
  scopeid: null,
  cidr: "192.168.1.20/24",
  mac: "00:00:00:00:00:00",
};

const startOpen = () =>
  startServer({ host: "0.0.0.0" }, { interfaces: () => [lan] });

/** Not by `fetch`, which sets `Host` itself. */
async function askAddresses(port: number, fields: string[]) {
  using raw = await RawClient.open(port);
  const lines = ["GET /addresses HTTP/1.1", "Connection: close", ...fields];
  await raw.write(`${lines.join("\r\n")}\r\n\r\n`);
  const { field } = await raw.readAnswer();
  return JSON.parse(await raw.readBody(Number(field("content-length"))));
}

Deno.test("/addresses tells a page of this machine where others reach the server", async () => {
  await using server = await startOpen();
  const { port } = server;
  for (
    const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]
  ) {
    const fields = [`Host: ${host}`, `Referer: http://${host}/?room=physics`];
    assertEquals(await askAddresses(port, fields), {
      reach: "network",
      hosts: [`192.168.1.20:${port}`],
    });
  }
});

Deno.test("/addresses tells nothing behind a proxy, even if that sets neither Host nor X-Forwarded-For", async () => {
  await using server = await startOpen();
  const { port } = server;
  const local = `Host: localhost:${port}`;
  const own = `Referer: http://localhost:${port}/`;
  const asked: string[][] = [
    // The page has the proxy's name, or the client is no page.
    [local, "Referer: https://chat.example.org/"],
    [local, "Referer: http://localhost.example.org/"],
    [local, "Referer: http://192.168.1.20/"],
    [local, "Origin: https://chat.example.org", own],
    [local, "Sec-Fetch-Site: same-origin"],
    [local],
    // A proxy that says that it is one.
    [local, own, "X-Forwarded-For: 192.0.2.1"],
    [local, own, "Via: 1.1 proxy"],
    ["Host: chat.example.org", own],
  ];
  for (const fields of asked) {
    assertEquals(
      await askAddresses(port, fields),
      { reach: "unknown", hosts: [] },
      fields.join("; "),
    );
  }
});
