// What those who chat notice of a backup: how long a message takes to come back
// while a file of some MB (200, or the argument) is copied, and without that.
// `deno run --lock tests/deno.lock --allow-all tests/bench/backup.ts [MB]`
import { backup, Lender } from "../../chat/backup.ts";
import { LocalStore } from "../../chat/store/local.ts";
import { SqliteArchive } from "../../chat/store/sqlite.ts";
import { loadAssets } from "../../chat/http/static_files.ts";
import { defaultOptions } from "../../chat/options.ts";
import { serve } from "../../chat/server.ts";
import { draft, say } from "../support/store_contract.ts";
import {
  Client,
  newContext,
  pause,
  range,
  STATIC,
} from "../support/harness.ts";

/** The other process: the command. */
const [, what, from = "", to = ""] = Deno.args;
if (what === "copy") {
  await backup(from, to);
  Deno.exit();
}

const megabytes = Number(Deno.args[0] ?? 200);
const folder = await Deno.makeTempDir();
const data = `${folder}/chat.db`;

const context = newContext();
const lender = new Lender(context.logger);
const machine = { ...context, uptime: Deno.osUptime };
const archive = new SqliteArchive(data, 1e9, machine, lender.address);
lender.start(archive);
const store = new LocalStore(archive, context);
const text = "x".repeat(3_900);
for (const _ of range(1, megabytes * 256 / 250)) {
  await say(store, "big", range(1, 250).map(() => draft(text)), 0);
}
const options = defaultOptions({ port: 0, rate: 0 });
const server = serve(options, await loadAssets(STATIC), store, context);
const client = await Client.open(`ws://127.0.0.1:${server.address.port}/ws`);

/** Talks until that is done; the milliseconds that each message took. */
async function talk(done: Promise<unknown>): Promise<number[]> {
  let isDone = false;
  done.finally(() => isDone = true);
  const took: number[] = [];
  while (!isDone) {
    const beganMs = performance.now();
    await client.say(`${took.length}`);
    took.push(performance.now() - beganMs);
    await pause(1);
  }
  return took.sort((a, b) => a - b);
}

function tell(what: string, took: number[]) {
  const at = (part: number) => (took[Math.floor(part * took.length)] ?? 0);
  const ms = [at(0.5), at(0.99), took.at(-1) ?? 0].map((ms) => ms.toFixed(1));
  console.log(`${what}: ${took.length} messages, ms ${ms.join(", ")}`);
}

console.log(
  `${(Deno.statSync(data).size / 1e6).toFixed(0)} MB; median, 99 %, worst`,
);
await client.say("warm");
tell("without", await talk(pause(2_000)));
for (const run of range(1, 3)) {
  const beganMs = performance.now();
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--allow-all", import.meta.filename ?? ""],
      ...["0", "copy", data, `${folder}/copy-${run}.db`],
    ],
  });
  let tookMs = 0;
  const copied = command.output().then(({ success }) => {
    if (!success) throw new Error("no copy");
    tookMs = performance.now() - beganMs;
  });
  tell("during a backup", await talk(copied));
  console.log(`  which took ${tookMs.toFixed(0)} ms`);
}
await Deno.remove(folder, { recursive: true });
Deno.exit();
