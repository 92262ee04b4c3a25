// Text that arrives piece by piece, as from a program or an event stream: a
// test waits for a pattern in it, with a deadline.
import { soon } from "./harness.ts";

export class TextReader {
  /** All text that was read so far. */
  text = "";
  readonly #reader: ReadableStreamDefaultReader<string>;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>> | null) {
    if (stream === null) throw new Error("there is no stream");
    this.#reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Reads on until all text so far matches, and returns it. */
  async until(pattern: RegExp, deadlineMs?: number): Promise<string> {
    while (!pattern.test(this.text)) {
      if (await this.#more(`${pattern}`, deadlineMs)) continue;
      throw new Error(`ended without ${pattern}: ${this.text}`);
    }
    return this.text;
  }

  /** Reads on until the stream ends, and returns all text. */
  async toEnd(deadlineMs?: number): Promise<string> {
    while (await this.#more("the end of a stream", deadlineMs));
    return this.text;
  }

  async #more(what: string, deadlineMs?: number): Promise<boolean> {
    const { value, done } = await soon(this.#reader.read(), what, deadlineMs);
    this.text += value ?? "";
    return !done;
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}
