// The processes of the bench. Each starts on a core of its own and ends with the
// bench, also when that is interrupted: a server left behind would spoil every
// later measurement.
import { note, ROOT, succeeds } from "./servers.ts";

const START_DEADLINE_MS = 20_000;

const running = new Set<Deno.ChildProcess>();

const pins = new Map<number, string[]>();

/** What keeps a command to one core; nothing, with a note, if nothing can. */
async function pinTo(cpu: number): Promise<string[]> {
  const words = ["-c", String(cpu)];
  if (await succeeds("taskset", ...words, "true")) return ["taskset", ...words];
  note(`taskset or CPU ${cpu} is missing: nothing is kept to CPU ${cpu}.`);
  return [];
}

export async function start(
  command: string[],
  cpu: number,
  stdout: "null" | "piped",
): Promise<Deno.ChildProcess> {
  const pin = pins.get(cpu) ?? await pinTo(cpu);
  pins.set(cpu, pin);
  // taskset becomes the command, so the pid is the command's own.
  const [file, ...args] = [...pin, ...command];
  const options = { args, cwd: ROOT, stdin: "null", stdout } as const;
  const child = new Deno.Command(file!, options).spawn();
  running.add(child);
  child.status.then(() => running.delete(child));
  return child;
}

/** At once: nothing is left to drain, the clients are gone. */
export async function stop(child: Deno.ChildProcess): Promise<void> {
  if (running.has(child)) child.kill("SIGKILL");
  await child.status;
}

export function stopAllOnSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      for (const child of running) child.kill("SIGKILL");
      Deno.exit(130);
    });
  }
}

export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Returns once something listens on the port; throws if the server ends. */
export async function untilListening(
  child: Deno.ChildProcess,
  port: number,
): Promise<void> {
  const deadlineMs = performance.now() + START_DEADLINE_MS;
  while (performance.now() < deadlineMs) {
    if (!running.has(child)) throw new Error("it ended before it listened");
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      await new Promise((wake) => setTimeout(wake, 50));
    }
  }
  throw new Error(`nothing listened after ${START_DEADLINE_MS / 1000} s`);
}
