// `partyline check` against servers on libraries that nobody here wrote. Each fault
// that it finds in one of them is listed in servers/verdicts.ts with its reason: if
// the same server gets another verdict, a check has become wrong, or its library has.
import { assertEquals } from "@std/assert";
import type { Profile } from "../../chat/check/check.ts";
import { checksOf } from "../../chat/check/profiles.ts";
import { assertFindings, findingsOf } from "../check/findings.ts";
import { pipe } from "../support/clients.ts";
import { type ProgramName, PROGRAMS, RealServer } from "./real_servers.ts";
import { VERDICTS } from "./servers/verdicts.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** The server that the command is tried on: one that fails a check. */
const COMMANDED: ProgramName = "websockets";

const idsOf = (profile: Profile) => checksOf(profile).map(({ id }) => id);

const folder = await Deno.makeTempDir({ prefix: "real-servers-" });

Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));

for (const [name, prepare] of Object.entries(PROGRAMS)) {
  const own = `${folder}/${name.replaceAll(/\W/g, "_")}`;
  await Deno.mkdir(own);
  const program = await prepare(own);
  const verdict = VERDICTS[name as ProgramName];
  const { versions, protocol, echo, chat, without = [] } = verdict;
  const { skipped } = program;
  const test = (what: string, fn: (server: RealServer) => Promise<void>) =>
    Deno.test({
      name: `${what}${skipped}`,
      ignore: skipped !== "",
      fn: async () => {
        await using server = await RealServer.start(program);
        await fn(server);
      },
    });
  const about = (server: RealServer) =>
    `This is ${server.versions}, and the table is of ${versions}.`;

  test(`an echo with ${name} gets the verdict that is known`, (server) =>
    assertFindings({
      port: server.port,
      path: "/echo",
      profile: "rfc6455",
      known: { ...protocol, ...echo },
      about: about(server),
    }));

  test(`a chat with ${name} gets the verdict that is known`, (server) =>
    assertFindings({
      port: server.port,
      path: "/chat",
      profile: "chat",
      known: { ...protocol, ...chat },
      only: idsOf("chat").filter((id) => !without.includes(id)),
      about: about(server),
    }));

  if (name !== COMMANDED) continue;

  test(`the command prints the same verdict of ${name}`, async ({ port }) => {
    const url = `ws://127.0.0.1:${port}/echo`;
    const end = await pipe([
      ...[Deno.execPath(), "run", "--no-lock", "--allow-net", MAIN],
      ...["check", url, "--profile", "rfc6455", "--json"],
    ], "");
    assertEquals(end.stderr, "");
    const { checks } = JSON.parse(end.stdout);
    assertEquals(findingsOf(checks), { ...protocol, ...echo });
    assertEquals(end.code, 1);
  });
}
