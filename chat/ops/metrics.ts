// The numbers that the server reports about itself, and their form as
// Prometheus text. Only counts are kept here: the caller reads the gauges when
// somebody asks. Names and units follow prometheus.io/docs/practices/naming.

/** Bounds of the histograms, in seconds. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** Counts by the value of one label, or under "" if there is no label. */
class Counter {
  readonly #counts = new Map<string, number>();

  constructor(
    readonly name: string,
    readonly help: string,
    /**
     * The name of the label. Its values must be few and fixed: each is kept.
     */
    private readonly label?: string,
  ) {
    if (label === undefined) this.#counts.set("", 0);
  }

  add(count = 1, value = ""): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + count);
  }

  lines(): string[] {
    const lines = [...this.#counts].map(([value, count]) => {
      const label = this.label === undefined
        ? ""
        : `{${this.label}="${value}"}`;
      return `${this.name}${label} ${count}`;
    });
    return [...about(this, "counter"), ...lines];
  }
}

/** Counts durations, in seconds. */
class Histogram {
  readonly #counts = new Array<number>(BOUNDS.length + 1).fill(0);
  #sum = 0;

  constructor(readonly name: string, readonly help: string) {}

  observe(seconds: number): void {
    const at = BOUNDS.findIndex((bound) => seconds <= bound);
    const bucket = at < 0 ? BOUNDS.length : at;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += seconds;
  }

  lines(): string[] {
    let count = 0;
    const buckets = this.#counts.map((inBucket, at) => {
      count += inBucket;
      return `${this.name}_bucket{le="${BOUNDS[at] ?? "+Inf"}"} ${count}`;
    });
    return [
      ...about(this, "histogram"),
      ...buckets,
      `${this.name}_sum ${this.#sum}`,
      `${this.name}_count ${count}`,
    ];
  }
}

/** Counts of one server's work. */
export class Metrics {
  readonly messages = new Counter(
    "partyline_messages_total",
    "Messages that were stored.",
  );
  readonly deliveries = new Counter(
    "partyline_deliveries_total",
    "Turns that were delivered to members.",
  );
  readonly handshakes = new Counter(
    "partyline_handshakes_total",
    "Requests for /ws, /echo, /events and /messages by the status of the answer.",
    "status",
  );
  readonly refusals = new Counter(
    "partyline_refusals_total",
    "Requests of members that were refused, by error code.",
    "code",
  );
  readonly disconnects = new Counter(
    "partyline_evictions_total",
    "Clients that the server disconnected, by reason.",
    "reason",
  );
  readonly reopenings = new Counter(
    "partyline_reopenings_total",
    "How often all connections were closed and the port was opened again.",
    "reason",
  );
  readonly turns = new Histogram(
    "partyline_turn_seconds",
    "Time from the start of a turn until it was stored.",
  );
  readonly lag = new Histogram(
    "partyline_event_loop_lag_seconds",
    "How late a timer of the server fired.",
  );
  /** Whether the store took the last thing that it was given. */
  isStoreWritable = true;

  /** The text for a scrape, with the gauges that the caller has read. */
  text(gauges: readonly [name: string, help: string, value: number][]): string {
    const lines = [
      this.messages,
      this.deliveries,
      this.handshakes,
      this.refusals,
      this.disconnects,
      this.reopenings,
      this.turns,
      this.lag,
    ].flatMap((metric) => metric.lines());
    for (const [name, help, value] of gauges) {
      lines.push(...about({ name, help }, "gauge"), `${name} ${value}`);
    }
    return lines.join("\n") + "\n";
  }
}

function about({ name, help }: { name: string; help: string }, type: string) {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}
