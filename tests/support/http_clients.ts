// HTTP clients for tests: an EventSource that can be awaited, a poll and a
// POST. The events of a stream come one by one, as they were written, with
// their ids.
import { Inbox, soon, type WireEvent } from "./harness.ts";

export interface StreamEvent {
  /** The name of the event; `message` if it has none. */
  type: string;
  id: string;
  /** When to ask again, in ms; "" if the event does not say. */
  retry: string;
  data: WireEvent;
}

/** Reads a stream as WHATWG HTML section 9.2.6 says, and no more. */
export class EventSourceClient implements AsyncDisposable {
  readonly #events = new Inbox<StreamEvent>();
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #reading: Promise<void>;

  private constructor(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = body.pipeThrough(new TextDecoderStream()).getReader();
    // A cut by either side is an end like any other.
    this.#reading = this.#read().catch(() => {});
  }

  static async open(url: string, headers: Record<string, string> = {}) {
    const response = await soon(fetch(url, { headers }), `a stream: ${url}`);
    if (!response.ok || response.body === null) {
      throw new Error(`${response.status}: ${await response.text()}`);
    }
    return new EventSourceClient(response.body);
  }

  /** The next event of that type; earlier ones are skipped. */
  async next(type: string): Promise<StreamEvent> {
    while (true) {
      const event = await this.#events.take(`an event ${type}`);
      if (event.type === type) return event;
    }
  }

  async #read(): Promise<void> {
    let text = "";
    for (let next; !(next = await this.#reader.read()).done;) {
      const blocks = (text + next.value).split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) this.#take(block);
    }
  }

  #take(block: string): void {
    const fields = new Map(
      block.split("\n").map((line) => {
        const at = line.indexOf(":");
        return [line.slice(0, at), line.slice(at + 2)] as const;
      }),
    );
    const data = fields.get("data");
    if (data === undefined) return;
    this.#events.put({
      type: fields.get("event") ?? "message",
      id: fields.get("id") ?? "",
      retry: fields.get("retry") ?? "",
      data: JSON.parse(data),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel();
    await soon(this.#reading, "the end of a stream");
  }
}

interface Answer {
  status: number;
  retryAfter: string | null;
  body: WireEvent;
}

export async function get(url: string): Promise<Answer> {
  return await read(await fetch(url));
}

export async function post(
  url: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return await read(await fetch(url, { method: "POST", body, headers }));
}

/** The body is JSON for a success, else a sentence. */
async function read(response: Response): Promise<Answer> {
  const text = await response.text();
  return {
    status: response.status,
    retryAfter: response.headers.get("retry-after"),
    body: response.ok ? JSON.parse(text) : text,
  };
}
