// Each check of the chat finds the fault that it is for, and no other check takes
// that fault for its own; servers that are right in an unusual way pass all checks.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { quoted } from "../../chat/check/chat/member.ts";
import { Chat, CHAT_FAULTS, UNUSUAL } from "./chat_mutants.ts";
import { type Has, startMutant } from "./mutant.ts";
import { judgeMutant, ownChecks, testMutants } from "./mutants.ts";

const newChat = (has: Has) => new Chat(has);

testMutants("chat", newChat, CHAT_FAULTS);

for (const way of UNUSUAL) {
  Deno.test(`a chat is right in which ${way}`, async () => {
    await using chat = startMutant(way, newChat);
    const { checks } = await judgeMutant(chat, "chat", ownChecks("chat"));
    assertEquals(checks.filter(({ status }) => status !== "passed"), []);
  });
}

Deno.test("the fields of a message may have other names", async () => {
  await using chat = startMutant("fields have other names", newChat);
  const fields = { sender: "name", message: "text" };
  const ids = ownChecks("chat");
  const { checks } = await judgeMutant(chat, "chat", ids, fields);
  assertEquals(checks.filter(({ status }) => status !== "passed"), []);
});

Deno.test("a chat that is far away shows 50 names in time", async () => {
  await using chat = startMutant("it is far away", newChat);
  const { checks } = await judgeMutant(chat, "chat", ["chat-names-unique"]);
  assertEquals(checks.filter(({ status }) => status !== "passed"), []);
});

/** A fault, a check that finds it, and what the detail has to say. */
const DETAILS = [
  [
    "a client may send 20 messages",
    "chat-burst",
    'The last event that the sender got besides messages was {"error":"Too fast."}.',
  ],
  [
    "message 21 of a client ends its connection",
    "chat-burst",
    "The sender's connection was closed (code 1008).",
  ],
  [
    "text comes in binary frames",
    "chat-json",
    "Send it as a text frame (opcode 1): in Node a string, not a Buffer; in Python str, not bytes.",
  ],
  [
    "a notice is plain text",
    "chat-leave-close",
    'has left.", but not as a JSON object in a text frame.',
  ],
  [
    "a broadcast waits for each client",
    "chat-not-reading",
    "Send to each client without waiting for the others, for example from a queue per client.",
  ],
  [
    "garbage ends all connections",
    "chat-garbage",
    "Catch the errors of each client where it is served, and end the connection of that client only.",
  ],
] as const;

for (const [fault, id, says] of DETAILS) {
  Deno.test(`${id} says what to do where ${fault}`, async () => {
    await using chat = startMutant(fault, newChat);
    const { checks: [found] } = await judgeMutant(chat, "chat", [id]);
    assertStringIncludes(found?.detail ?? "", says);
  });
}

Deno.test("a quotation of JSON ends before an escape that is cut off", () => {
  for (let letters = 80; letters < 110; letters++) {
    const start = `{"a":"${"x".repeat(letters)}`;
    for (const escape of ["\\u20ac", "\\ud83c\\udf89", "\\\\", '\\"']) {
      const raw = `${start}${escape.repeat(30)}"}`;
      const shown = quoted(raw).slice(0, -1);
      const escapes = shown.slice(start.length);
      assertEquals(
        escapes,
        escape.repeat(Math.floor((120 - start.length) / escape.length)),
      );
    }
  }
});
