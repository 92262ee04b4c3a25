// The servers that are measured, ours in its dialects and others, each as one
// command. What a command needs is installed in a cache outside the project. A
// server that cannot run on this machine is left out, with a note.
import type { DialectName } from "./dialects.ts";

export interface Server {
  name: string;
  dialect: DialectName;
  /** The name of the server that it is to be held to. */
  rival?: string;
  /** Starts it on 127.0.0.1, as one process; `folder` is its own and empty. */
  command(port: number, folder: string): string[];
}

export const ROOT = `${import.meta.dirname}/../..`;

const PACKAGES = ["ws@8.23.0", "socket.io@4.8.4", "bun@1.4.5"];

export async function allServers(): Promise<Server[]> {
  return [...await peers(), ...await partyline()];
}

export function note(sentence: string): void {
  console.log(`Note: ${sentence}`);
}

/** Whether a command is there and succeeds; its output is not of interest. */
export async function succeeds(
  file: string,
  ...args: string[]
): Promise<boolean> {
  const options = { args, stdout: "null", stderr: "null" } as const;
  try {
    return (await new Deno.Command(file, options).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Our server as a command, with its port and where its log is. */
export type PartylineCommand = (port: number, data: string) => string[];

/** The start task's own words, so that what is measured is what users run. */
export async function partylineCommand(): Promise<PartylineCommand> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.json`));
  const [, ...args] = tasks.start.replaceAll("'", "").split(" ");
  const script = args.pop()!;
  return (port, data) => [
    ...[Deno.execPath(), ...args, script],
    ...["--quiet", "--port", String(port), "--data", data],
    ...["--rate", "0", "--room-rate", "0", "--max-clients", "20000"],
    // The load expects no pings: see readText in stream.ts.
    ...["--idle-timeout", "86400"],
  ];
}

async function partyline(): Promise<Server[]> {
  const start = await partylineCommand();
  const command = (port: number, folder: string) =>
    start(port, `${folder}/partyline.db`);
  return [
    { name: "partyline plain", dialect: "plain", rival: "ws", command },
    { name: "partyline v1", dialect: "v1", rival: "bun", command },
  ];
}

/** The peers that this machine can run. */
async function peers(): Promise<Server[]> {
  const cache = Deno.env.get("XDG_CACHE_HOME") ??
    `${Deno.env.get("HOME")}/.cache`;
  const folder = `${cache}/partyline-bench`;
  await Deno.mkdir(folder, { recursive: true });
  const install = ["install", "--prefix", folder, "--prefer-offline"];
  if (!await succeeds("npm", ...install, ...PACKAGES)) {
    note("npm is missing or cannot install the peers: none is measured.");
    return [];
  }
  const bun = `${folder}/node_modules/bun/bin/bun.exe`;
  // Deno runs itself when it is asked for a node that is not there.
  const isNode = "process.exit(process.versions.deno ? 1 : 0)";
  const hasNode = await succeeds("node", "--eval", isNode);
  const hasBun = await succeeds(bun, "--version");
  if (!hasNode) note("node is missing: ws and socket.io are not measured.");
  if (!hasBun) note("bun does not run on this machine: it is not measured.");
  const found: Server[] = [];
  const add = async (name: string, runtime: string, dialect: DialectName) => {
    // A runtime looks for packages beside the file that imports them.
    const file = `${folder}/${name.replace(".", "")}.mjs`;
    const source = `${import.meta.dirname}/peers/${file.split("/").at(-1)}`;
    await Deno.copyFile(source, file);
    const command = (port: number) => [runtime, file, String(port)];
    found.push({ name, dialect, command });
  };
  if (hasNode) await add("ws", "node", "plain");
  if (hasNode) await add("socket.io", "node", "socketio");
  if (hasBun) await add("bun", bun, "plain");
  return found;
}
