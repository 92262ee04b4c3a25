// Each check of RFC 6455 finds the fault that it is for, and no other check takes
// that fault for its own; servers that are right in an unusual way pass all checks.
// The faults and the ways are in rfc6455_mutants.ts.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { echo, startMutant } from "./mutant.ts";
import { judgeMutant, testMutants } from "./mutants.ts";
import { RFC6455_FAULTS, UNUSUAL } from "./rfc6455_mutants.ts";

testMutants("rfc6455", echo, RFC6455_FAULTS);

for (const way of UNUSUAL) {
  Deno.test(`a server is right when ${way}`, async () => {
    await using server = startMutant(way);
    const { checks } = await judgeMutant(server, "rfc6455");
    assertEquals(checks.filter(({ status }) => status !== "passed"), []);
  });
}

Deno.test("checks that need their text back are skipped where none comes back", async () => {
  await using silent = startMutant("nothing comes back");
  const { failed, warned, checks } = await judgeMutant(silent, "rfc6455");
  assertEquals([failed, warned], [0, 0]);
  const skipped = checks.filter(({ status }) => status === "skipped");
  assertEquals(skipped[0]?.id, "text-back");
  const { detail } = skipped[0]!;
  assert(skipped.length > 15, "too few were skipped");
  for (const result of skipped) assertEquals(result.detail, detail);
});

/** What is told of a fault, and by which check. */
const TOLD = [
  {
    fault: "a handshake gets 200",
    id: "handshake-status",
    told: "Is this the path of the WebSocket?",
  },
  {
    fault: "text comes in capitals",
    id: "text-back",
    told: 'What came last was "CHECK-',
  },
  {
    fault: "text comes in pieces",
    id: "text-back",
    told: "It came cut into several messages, but must be one.",
  },
  {
    fault: "a message has no end",
    id: "text-back",
    told: "A message began with 01 12, and no frame with the bit FIN ended it.",
  },
  {
    fault: "text is ASCII",
    id: "utf-8",
    told: "What came last was",
  },
  {
    fault: "a long message is a fault of the server",
    id: "length-126",
    told:
      "code 1011, which tells of an error in the server: look at its own output",
  },
  {
    fault: "binary comes back as text",
    id: "binary-back",
    told: "256 bytes came back as text (81 7e 01 00): send bytes in a binary",
  },
  {
    fault: "a pong has no payload",
    id: "ping-payload",
    told:
      "was answered with no bytes. A pong must have the payload of its ping.",
  },
  {
    fault: "half a code is sent back",
    id: "close-1-byte",
    told: "A close frame with 1 byte (03) was sent, and the same came back",
  },
  {
    fault: "there are 30 places",
    id: "many-connections",
    told:
      "30 clients at once were served, and the next one was not. The server",
  },
  {
    fault: "one client is served at a time",
    id: "two-clients",
    told: "While one client was connected, a second one was not served.",
  },
  {
    fault: "a large message is a mishap",
    id: "message-too-large",
    told:
      "a new client was not served. The server closed the connection too early",
  },
];

Deno.test("a detail tells what came, and where to look", async () => {
  await Promise.all(TOLD.map(async ({ fault, id, told }) => {
    await using mutant = startMutant(fault);
    const { checks } = await judgeMutant(mutant, "rfc6455", [id]);
    assertStringIncludes(checks[0]?.detail ?? "", told, fault);
  }));
});
