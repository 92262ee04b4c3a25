// A client's end of a connection by HTTP, for `partyline.v1`: a stream or polls
// for what comes, and a POST for each thing that is said, one after the other.
// `ended` resolves once, when nothing more is heard.
import { soon } from "../support/harness.ts";
import type { Connection, Ending, Target } from "./connection.ts";

const ANSWER_DEADLINE_MS = 30_000;
const WAIT_SECONDS = 5;

/** How a poll ends, as a WebSocket would have told it. */
const SLOW: Ending = { code: 1013, reason: "reading too slowly" };
const TAKEN_OVER: Ending = { code: 4002, reason: "taken over" };

/** The answer to a request whose connection the server has ended. */
class Conflict extends Error {}

/** The answer to one that may be sent again, on the same connection. */
class Unavailable extends Error {}

/** Rejects if the server cannot be reached, as a handshake would. */
async function knock({ port }: Target): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`);
  const text = await response.text();
  if (!response.ok) throw new Error(text);
}

/** Where a connection begins, and where each request on it goes to. */
export interface HttpTarget extends Target {
  nextPort: () => number;
}

interface Heard {
  type: string;
  key?: string;
  epoch?: string;
  seq?: number;
  recovered?: boolean | null;
  code?: number;
  reason?: string;
}

export abstract class HttpConnection implements Connection {
  readonly #ended = Promise.withResolvers<Ending>();
  readonly ended = this.#ended.promise;
  readonly #query: string;
  readonly #welcomed = Promise.withResolvers<void>();
  #hasSaidHello = false;
  #posted = this.#welcomed.promise;
  #resume = () => {};
  #key = "";
  #epoch = "";
  /** Pending while nothing is to be read. */
  protected mayRead = Promise.resolve();
  protected readonly abort = new AbortController();
  protected seq = 0;
  /** Deno keeps the connection of an aborted body that goes through a pipe. */
  protected hangUp = () => {};

  constructor(private readonly target: HttpTarget) {
    const room = target.path.slice(target.path.indexOf("?"));
    this.#query = `${room}&line=${crypto.randomUUID()}`;
  }

  /** Hears all, from the hello to the end. */
  protected abstract listen(query: string): Promise<Ending>;

  /** The hello opens the connection; what follows waits for the welcome. */
  send(text: string): void {
    if (this.#hasSaidHello) {
      this.#posted = this.#posted.then(() => this.#post(text))
        .catch((error) => {
          // Of an end that the server made hears whoever listens.
          if (error instanceof Conflict) return;
          if (error instanceof Unavailable) this.#tellRefused(text, error);
          else this.end(undefined, String(error));
        });
      return;
    }
    this.#hasSaidHello = true;
    const { key, name, since, history } = JSON.parse(text);
    const query = new URLSearchParams();
    if (key !== undefined) query.set("key", key);
    if (name !== undefined) query.set("name", name);
    if (history !== undefined) query.set("history", history);
    if (since !== undefined) query.set("since", `${since.epoch}:${since.seq}`);
    this.seq = since?.seq ?? 0;
    this.listen(`&${query}`)
      .catch((error) => ({ code: undefined, reason: String(error) }))
      .then(({ code, reason }) => this.end(code, reason));
  }

  close(): void {
    this.end(1000, "");
  }

  drop(): void {
    this.end(undefined, "dropped");
  }

  stall(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.mayRead = promise;
    this.#resume = resolve;
  }

  resume(): void {
    this.#resume();
  }

  protected end(code: number | undefined, reason: string): void {
    this.hangUp();
    this.abort.abort();
    this.#resume();
    this.#welcomed.resolve();
    this.#ended.resolve({ code, reason });
  }

  protected async ask(
    path: string,
    query: string,
    init: RequestInit = {},
  ): Promise<Response> {
    const origin = `http://127.0.0.1:${this.target.nextPort()}`;
    const url = `${origin}/${path}${this.#query}${query}`;
    const response = await soon(
      fetch(url, { ...init, signal: this.abort.signal }),
      `an answer from ${path}`,
      ANSWER_DEADLINE_MS,
    );
    if (response.ok) return response;
    const why = `${response.status}: ${await response.text()}`;
    switch (response.status) {
      case 409:
      case 410:
        throw new Conflict(why);
      case 503:
        throw new Unavailable(why);
      default:
        throw new Error(why);
    }
  }

  /** Where a poll goes on. */
  protected get position(): string {
    const { seq } = this;
    return `&key=${this.#key}&since=${this.#epoch}:${seq}&wait=${WAIT_SECONDS}`;
  }

  protected hear(events: Heard[]): void {
    if (this.abort.signal.aborted) return;
    for (const { type, key, epoch, seq = 0, recovered } of events) {
      if (type === "message") this.seq = Math.max(this.seq, seq);
      if (type !== "welcome") continue;
      if (recovered !== true) this.seq = seq;
      this.#key = key ?? "";
      this.#epoch = epoch ?? "";
      this.#welcomed.resolve();
    }
    if (events.length > 0) this.target.hear(JSON.stringify(events));
  }

  /** Says what a WebSocket would have been sent. */
  #tellRefused(text: string, { message }: Unavailable): void {
    if (this.abort.signal.aborted) return;
    const { id } = JSON.parse(text);
    const error = { type: "error", code: "log_unavailable", message, id };
    this.target.hear(JSON.stringify([error]));
  }

  async #post(text: string): Promise<void> {
    if (this.abort.signal.aborted) return;
    const response = await this.ask("messages", "", {
      method: "POST",
      body: text,
      headers: {
        "content-type": "application/json",
        "partyline-key": this.#key,
      },
    });
    await response.text();
  }
}

/** Server-Sent Events down, POST up. */
export class StreamConnection extends HttpConnection {
  static async open(target: HttpTarget): Promise<StreamConnection> {
    await knock(target);
    return new StreamConnection(target);
  }

  protected async listen(query: string): Promise<Ending> {
    const { body } = await this.ask("events", query);
    if (body === null) throw new Error("a stream without a body");
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    this.hangUp = () => reader.cancel().catch(() => {});
    let text = "";
    while (true) {
      await this.mayRead;
      const { value, done } = await reader.read();
      await this.mayRead;
      if (done) return { code: undefined, reason: "the stream ended" };
      const blocks = (text + value).split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const lines = block.split("\n");
        const data = lines.find((line) => line.startsWith("data: "));
        if (data === undefined) continue;
        const event = JSON.parse(data.slice("data: ".length));
        if (lines.includes("event: close")) return event;
        this.hear([event]);
      }
    }
  }
}

/** Long polls down, POST up. */
export class PollConnection extends HttpConnection {
  static async open(target: HttpTarget): Promise<PollConnection> {
    await knock(target);
    return new PollConnection(target);
  }

  protected async listen(query: string): Promise<Ending> {
    try {
      for (let asked = query;; asked = this.position) {
        await this.mayRead;
        const response = await this.ask("messages", asked);
        const events: Heard[] = await response.json();
        await this.mayRead;
        const end = events.find(({ type }) => type === "close");
        this.hear(events.filter((event) => event !== end));
        if (end) return { code: end.code, reason: end.reason ?? "" };
      }
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
      if (/Another connection/.test(error.message)) return TAKEN_OVER;
      // More waited for it than the send limit.
      if (/has ended/.test(error.message)) return SLOW;
      throw error;
    }
  }
}
