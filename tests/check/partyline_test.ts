// `partyline check` against Partyline itself, on each version of Deno that CI runs.
// It is judged as any other server; what it may fail is in partyline.ts.
import type { Profile } from "../../chat/check/check.ts";
import { startServer } from "../support/harness.ts";
import { assertFindings, type Findings } from "./findings.ts";
import { CHAT, ECHO } from "./partyline.ts";

function testAddress(path: string, profile: Profile, known: Findings): void {
  Deno.test({
    name: `${path} passes all of ${profile} but what is known`,
    // Some Denos do not tell of the end of a connection that is reset at once, and
    // the server still waits for it.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await using server = await startServer({ rate: 0 });
      const { port } = server;
      await assertFindings({ port, path, profile, known });
    },
  });
}

testAddress("/echo", "rfc6455", ECHO);
testAddress("/ws", "chat", CHAT);
