// What banner.ts promises: addresses that work, the likeliest first. The
// interfaces are made up; main_test.ts starts the real thing.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { renderUnicodeCompact } from "uqr";
import { defaultOptions } from "../../chat/options.ts";
import { type Interface, lanAddresses } from "../../chat/addresses.ts";
import { banner } from "../../chat/banner.ts";

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

const at = (hostname: string, port = 8000) => ({ hostname, port });
const LOCAL = at("127.0.0.1", 81);
const EVERYWHERE = at("0.0.0.0", 81);
const open = defaultOptions({ lan: true, host: "0.0.0.0" });

/** The part of a banner that follows `name`, on each line that has it. */
function rows(text: string, name: string): string[] {
  return text.split("\n").filter((line) => line.startsWith(`  ${name} `))
    .map((line) => line.slice(10));
}

Deno.test("IPv6 addresses follow those of IPv4, without those of the link alone", () => {
  const ipv6 = (name: string, address: string): Interface => ({
    name,
    address,
    family: "IPv6",
  });
  const addresses = lanAddresses([
    ipv6("lo", "::1"),
    ipv6("eth0", "2001:db8::7"),
    ipv6("eth0", "fe80::7"),
    ipv4("eth0", "203.0.113.9"),
  ]);
  assertEquals(addresses, ["203.0.113.9", "2001:db8::7"]);
});

for (
  const [host, bound, wanted] of [
    ["127.0.0.1", "127.0.0.1", "http://localhost:8000/"],
    ["localhost", "127.0.0.1", "http://localhost:8000/"],
    ["localhost", "::1", "http://localhost:8000/"],
    ["127.0.0.2", "127.0.0.2", "http://127.0.0.2:8000/"],
    ["::1", "::1", "http://[::1]:8000/"],
    ["[::1]", "::1", "http://[::1]:8000/"],
    ["::", "::", "http://[::1]:8000/"],
    ["0.0.0.0", "0.0.0.0", "http://localhost:8000/"],
    ["0", "0.0.0.0", "http://localhost:8000/"],
    ["fd00::7", "fd00::7", "http://[fd00::7]:8000/"],
    ["192.168.1.20", "192.168.1.20", "http://192.168.1.20:8000/"],
    ["class.lan", "192.168.1.20", "http://class.lan:8000/"],
  ] as const
) {
  Deno.test(`on ${bound}, asked for as ${host}, ${wanted} is the address to open`, () => {
    const options = defaultOptions({ host });
    const text = banner(options, at(bound), [ipv4("en0", "10.1.2.3")]);
    assertEquals(rows(text, "Open"), [wanted]);
    const isLocal = /^127|^::1$/.test(bound);
    assertEquals(text.includes("--lan"), isLocal);
    // Only a server that others can reach shows an address to scan.
    assertEquals(text.includes("█"), !isLocal);
  });
}

Deno.test("with a certificate all addresses are https, and a port that is the usual one is left out", () => {
  const options = defaultOptions({ cert: "cert.pem", key: "key.pem" });
  const text = banner(options, at("127.0.0.1", 443), []);
  assertEquals(rows(text, "Open"), ["https://localhost/"]);
  assert(!text.includes("http:"), text);
});

Deno.test("the lesson and the lab are named with their addresses, below the base and with the invitation", () => {
  const options = defaultOptions({ base: "/chat/", invite: "otter-7" });
  const text = banner(options, LOCAL, []);
  const site = "http://localhost:81/chat/";
  assertEquals(rows(text, "Lesson"), [`${site}learn#invite=otter-7`]);
  assertEquals(rows(text, "Lab"), [`${site}lab#invite=otter-7`]);
});

Deno.test("the password of a Redis is not shown", () => {
  const data = "rediss://ann:secret@redis.example.org:6380/1";
  const text = banner(defaultOptions({ data }), LOCAL, []);
  assertStringIncludes(text, "in Redis at redis.example.org:6380");
  assert(!text.includes("secret"));
});

Deno.test("an open server lists all addresses and draws one as a QR code", () => {
  const text = banner(open, EVERYWHERE, [
    ipv4("br-1", "172.18.0.1"),
    ipv4("en0", "10.1.2.3"),
    { name: "en0", family: "IPv6", address: "2001:db8::7" },
  ]);
  assertEquals(rows(text, "Others"), [
    "http://10.1.2.3:81/",
    "http://172.18.0.1:81/",
  ]);
  assertStringIncludes(text, renderUnicodeCompact("http://10.1.2.3:81/"));
});

Deno.test("a server on :: lists the addresses of IPv6 too", () => {
  const text = banner(defaultOptions({ host: "::" }), at("::"), [
    ipv4("en0", "10.1.2.3"),
    { name: "en0", family: "IPv6", address: "2001:db8::7" },
  ]);
  assertEquals(rows(text, "Others"), [
    "http://10.1.2.3:8000/",
    "http://[2001:db8::7]:8000/",
  ]);
});

Deno.test("the links and the QR code carry the invitation, encoded", () => {
  const show = (options: typeof open) =>
    banner(options, EVERYWHERE, [ipv4("en0", "10.1.2.3")]);
  const text = show({ ...open, invite: "50%&#+?" });
  const link = (host: string) => `http://${host}:81/#invite=50%25%26%23%2B%3F`;
  assertEquals(rows(text, "Open"), [link("localhost")]);
  assertEquals(rows(text, "Others"), [link("10.1.2.3")]);
  assertStringIncludes(text, renderUnicodeCompact(link("10.1.2.3")));
  assert(!show(open).includes("invite="));
});

Deno.test("the moderator's code is not shown beside the QR code, nor unless it is asked for", () => {
  const moderator = "50%&#";
  const show = (options: Partial<typeof open>) =>
    banner({ ...open, base: "/chat/", moderator, ...options }, EVERYWHERE, [
      ipv4("en0", "10.1.2.3"),
    ]);
  const usual = show({});
  assertEquals(rows(usual, "X-ray"), ["http://localhost:81/chat/x-ray"]);
  assertStringIncludes(usual, "--show-moderator");
  assert(usual.includes("█") && !usual.includes("50%"), usual);
  const asked = show({ showModerator: true });
  assertStringIncludes(
    asked,
    "Secret, for the moderator: http://localhost:81/chat/x-ray#moderator=50%25%26%23\n",
  );
  assert(!asked.includes("█"), asked);
  // From there a moderator can open the chat.
  assertStringIncludes(
    show({ showModerator: true, invite: "otter-7" }),
    "x-ray#moderator=50%25%26%23&invite=otter-7\n",
  );
});

Deno.test("a machine without a network is told so", () => {
  assertStringIncludes(banner(open, EVERYWHERE, []), "not on a network");
});
