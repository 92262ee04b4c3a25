// What is measured of the server's process: memory, open descriptors and CPU
// time, as Linux tells them, and its metrics if it has any. The worst is the
// worst of all samples since `restart`.
import { pause } from "./field.ts";
import { Fall, type Metrics, parseMetrics } from "./statistics.ts";

export interface Sample {
  /** Memory in use, in MiB: `VmRSS`. */
  rssMib: number;
  /** The most there ever was: `VmHWM`. */
  peakMib: number;
  descriptors: number;
  cpuMs: number;
}

const SAMPLE_EVERY_MS = 200;
const METRICS_TIMEOUT_MS = 5_000;

/** Linux counts CPU time in hundredths of a second. */
const TICK_MS = 10;

/** After falling for so long no more, all is as it will stay. */
const QUIET_MS = 5_000;
/** While descriptors are missing: longer than the server's own time-outs. */
const LONG_QUIET_MS = 45_000;

/** Reads `VmRSS` and `VmHWM` from `/proc/PID/status`, in MiB. */
export function parseStatus(text: string) {
  const mib = (key: string) =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(text)?.[1]) / 1024;
  return { rssMib: mib("VmRSS"), peakMib: mib("VmHWM") };
}

/** Reads user and system time from `/proc/PID/stat`, in ms. */
export function parseCpuMs(text: string): number {
  // The command's name may hold anything, but ends at the last bracket.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Rejects if there is no such process. */
export async function sample(pid: number): Promise<Sample> {
  const [status, stat, descriptors] = await Promise.all([
    Deno.readTextFile(`/proc/${pid}/status`),
    Deno.readTextFile(`/proc/${pid}/stat`),
    countDescriptors(pid),
  ]);
  return { ...parseStatus(status), descriptors, cpuMs: parseCpuMs(stat) };
}

async function countDescriptors(pid: number): Promise<number> {
  const folder = `/proc/${pid}/fd`;
  // Linux 6.2 and newer tell it without being asked for each.
  const { size } = await Deno.stat(folder);
  return size > 0 ? size : (await Array.fromAsync(Deno.readDir(folder))).length;
}

/** The server's metrics; undefined if it has none or does not answer. */
export async function scrape(port: number): Promise<Metrics | undefined> {
  // A connection that is kept for the next request would be measured too.
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  try {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, {
      signal: AbortSignal.timeout(METRICS_TIMEOUT_MS),
      client,
    });
    const text = await response.text();
    return response.ok ? parseMetrics(text) : undefined;
  } catch {
    return undefined;
  }
}

export class Meter implements Disposable {
  latest: Sample;
  worst: Sample;
  readonly #timer: ReturnType<typeof setInterval>;

  private constructor(private readonly pid: number, first: Sample) {
    this.latest = this.worst = first;
    this.#timer = setInterval(() => this.look(), SAMPLE_EVERY_MS);
  }

  static async start(pid: number): Promise<Meter> {
    return new Meter(pid, await sample(pid));
  }

  /** Takes a sample now. Once the process is gone, what was last seen stays. */
  async look(): Promise<Sample> {
    const latest = await sample(this.pid).catch(() => this.latest);
    this.latest = latest;
    this.worst = {
      rssMib: Math.max(this.worst.rssMib, latest.rssMib),
      peakMib: Math.max(this.worst.peakMib, latest.peakMib),
      descriptors: Math.max(this.worst.descriptors, latest.descriptors),
      cpuMs: latest.cpuMs,
    };
    return latest;
  }

  /** Forgets the worst; returns where things stand. */
  async restart(): Promise<Sample> {
    return this.worst = await this.look();
  }

  /**
   * Waits until memory and descriptors have stopped to fall. While there are
   * more descriptors than `before`, it waits for the server's time-outs too.
   */
  async settle(before: Sample, deadlineMs: number): Promise<Sample> {
    const fall = new Fall([2, 0]);
    const giveUpAtMs = performance.now() + deadlineMs;
    while (performance.now() < giveUpAtMs) {
      await pause(SAMPLE_EVERY_MS);
      const { rssMib, descriptors } = this.latest;
      const restsMs = fall.restsMs([rssMib, descriptors], performance.now());
      const isBack = descriptors <= before.descriptors;
      if (restsMs > (isBack ? QUIET_MS : LONG_QUIET_MS)) break;
    }
    return this.latest;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
