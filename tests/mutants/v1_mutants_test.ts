// Each check of `partyline.v1` finds the fault that it is for, and no other check
// takes that fault for its own. A server may also do more than the checks need.
import { assert, assertEquals } from "@std/assert";
import { Opcode } from "../../chat/check/frames.ts";
import { startServer } from "../support/harness.ts";
import { type App, startMutant } from "./mutant.ts";
import { judgeMutant, testMutants } from "./mutants.ts";
import { partylineV1, V1_FAULTS } from "./v1_mutants.ts";

testMutants("partyline.v1", partylineV1, V1_FAULTS);

Deno.test("Partyline passes every check of partyline.v1", async () => {
  await using server = await startServer();
  const url = new URL(server.ws);
  const { checks } = await judgeMutant(
    { port: server.port, url },
    "partyline.v1",
  );
  assertEquals(checks.filter(({ status }) => status !== "passed"), []);
});

/** A right server that notes in which rooms its clients come in. */
function noting(rooms: Set<string>): App {
  const app = partylineV1(() => false);
  return {
    subprotocol: (offered) => app.subprotocol?.(offered),
    opened(peer, url) {
      rooms.add(url.searchParams.get("room") ?? "");
      app.opened?.(peer, url);
    },
    received: (peer, payload, opcode) => app.received(peer, payload, opcode),
    gone: (peer) => app.gone?.(peer),
  };
}

Deno.test("partyline.v1 is judged in rooms of the check's own", async () => {
  const rooms = new Set<string>();
  await using right = startMutant("", () => noting(rooms));
  const { passed, checks } = await judgeMutant(right, "partyline.v1");
  assertEquals(passed, checks.length);
  for (const room of rooms) assert(/^check-[0-9a-f]{12}$/.test(room), room);
});

Deno.test("partyline.v1 is judged in the room that the address names", async () => {
  const rooms = new Set<string>();
  await using right = startMutant("", () => noting(rooms));
  const { port } = right;
  const url = new URL("?room=class", right.url);
  const { passed, checks } = await judgeMutant({ port, url }, "partyline.v1");
  assertEquals(passed, checks.length);
  // One check needs a second room.
  const [first, second, ...more] = rooms;
  assertEquals([first, more], ["class", []]);
  assert(second?.startsWith("check-"), second);
});

Deno.test("a server that sends nonsense instead of events fails, whatever it is", async () => {
  const nested = "[".repeat(100_000) + "]".repeat(100_000);
  const frames = [
    "no JSON",
    "null",
    "[[]]",
    "7",
    nested,
    `{"type": ${nested}}`,
    `[${"{},".repeat(200_000)}{}]`,
  ];
  for (const text of frames) {
    const app: App = {
      subprotocol: () => "partyline.v1",
      received: (peer) => peer.send(Opcode.text, text),
    };
    await using wrong = startMutant("", () => app);
    const { checks } = await judgeMutant(wrong, "partyline.v1", ["v1-welcome"]);
    const [{ status, detail } = {}] = checks;
    assertEquals(status, "failed");
    assert(detail?.startsWith("The server sent "), detail);
  }
});
