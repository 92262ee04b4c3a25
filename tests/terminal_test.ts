// What terminal.ts promises: addresses that work, the likeliest first. The
// interfaces are made up; main_test.ts starts the real thing.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { renderUnicodeCompact } from "uqr";
import { defaultOptions } from "../chat/options.ts";
import { banner, type Interface, lanAddresses } from "../chat/terminal.ts";

const ipv4 = (name: string, address: string): Interface => ({
  name,
  address,
  family: "IPv4",
});

Deno.test("private addresses of real interfaces come first, bridges last", () => {
  const addresses = lanAddresses([
    ipv4("lo", "127.0.0.1"),
    ipv4("docker0", "172.17.0.1"),
    ipv4("tun0", "10.8.0.2"),
    ipv4("eth1", "203.0.113.9"),
    ipv4("eth0", "169.254.3.4"),
    ipv4("wlan0", "192.168.1.20"),
    { name: "wlan0", family: "IPv6", address: "fe80::1" },
  ]);
  assertEquals(addresses, [
    "192.168.1.20",
    "203.0.113.9",
    "172.17.0.1",
    "10.8.0.2",
  ]);
});

Deno.test("a local server says how to invite others", () => {
  const text = banner(defaultOptions(), 8000, []);
  assertStringIncludes(text, "http://localhost:8000/");
  assertStringIncludes(text, "--lan");
  assertStringIncludes(text, "Ctrl-C");
});

Deno.test("the password of a Redis is not shown", () => {
  const data = "rediss://ann:secret@redis.example.org:6380/1";
  const text = banner(defaultOptions({ data }), 8000, []);
  assertStringIncludes(text, "in Redis at redis.example.org:6380");
  assert(!text.includes("secret"));
});

Deno.test("an open server lists all addresses and draws one as a QR code", () => {
  const options = defaultOptions({ lan: true, host: "0.0.0.0" });
  const text = banner(options, 81, [
    ipv4("br-1", "172.18.0.1"),
    ipv4("en0", "10.1.2.3"),
  ]);
  const places = ["http://10.1.2.3:81/", "http://172.18.0.1:81/", "█▀▀▀▀▀▀▀█"]
    .map((part) => text.indexOf(part));
  assert(!places.includes(-1), text);
  assertEquals(places, places.toSorted((a, b) => a - b));
});

Deno.test("the links and the QR code carry the invitation, encoded", () => {
  const open = defaultOptions({ lan: true, host: "0.0.0.0" });
  const invited = { ...open, invite: "50%&#+?" };
  const show = (options: typeof open) =>
    banner(options, 81, [ipv4("en0", "10.1.2.3")]);
  const text = show(invited);
  for (const host of ["localhost", "10.1.2.3"]) {
    assertStringIncludes(text, `http://${host}:81/#invite=50%25%26%23%2B%3F\n`);
  }
  const link = "http://10.1.2.3:81/#invite=50%25%26%23%2B%3F";
  assertStringIncludes(text, renderUnicodeCompact(link));
  assert(!show(open).includes("invite="));
});

Deno.test("the links lead below the base", () => {
  const options = defaultOptions({ base: "/chat/", invite: "otter-7" });
  assertStringIncludes(
    banner(options, 81, []),
    "http://localhost:81/chat/#invite=otter-7\n",
  );
});

Deno.test("the moderator's link leads to the X-ray, below the base", () => {
  const options = defaultOptions({ base: "/chat/", moderator: "50%&#" });
  assertStringIncludes(
    banner(options, 81, []),
    "http://localhost:81/chat/x-ray#moderator=50%25%26%23\n",
  );
  assert(!banner(defaultOptions(), 81, []).includes("moderator"));
});

Deno.test("a machine without a network is told so", () => {
  const options = defaultOptions({ lan: true, host: "0.0.0.0" });
  assertStringIncludes(banner(options, 81, []), "no network");
});

Deno.test("an IPv6 host is written in brackets", () => {
  assertStringIncludes(
    banner(defaultOptions({ host: "fd00::7" }), 81, []),
    "http://[fd00::7]:81/",
  );
});
