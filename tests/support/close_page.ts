// Reads the page about closes, static/close/index.html: its sections, and the
// lines to run in them. Asserts nothing.
import { STATIC } from "./harness.ts";

export type Language = "JavaScript" | "Python" | "Java";

export interface Section {
  /** A code, or the name of another section. */
  id: string;
  html: string;
  /** The close reasons in the section, and what the page calls them. */
  reasons: Record<string, string>;
  lines: Partial<Record<Language, string>>;
}

export const closePage = Deno.readTextFileSync(`${STATIC}/close/index.html`);

/** Text as a browser shows it, without its tags. */
export function textOf(html: string): string {
  return html.replaceAll(/<[^>]*>/g, "").replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}

export const closeSections: Section[] = closePage.split(/<section\s/).slice(1)
  .map((html) => {
    const reasons = html.matchAll(/<dt data-reason="(\w+)">([^]*?)<\/dt>/g);
    const lines = html.matchAll(
      /aria-label="(\w+): [^"]*"\s*><code>([^]*?)<\/code><\/pre>/g,
    );
    return {
      id: /^id="([^"]+)"/.exec(html)?.[1] ?? "",
      html,
      reasons: Object.fromEntries(
        [...reasons].map(([, why, words = ""]) => [
          why,
          textOf(words).replaceAll(/\s+/g, " ").trim(),
        ]),
      ),
      lines: Object.fromEntries(
        [...lines].map(([, language, code = ""]) => [language, textOf(code)]),
      ),
    };
  });

/** Whether the lines run until somebody ends them. */
export function isEndless(code: string): boolean {
  return /setTimeout\(open|setInterval|while True|for \(long pause|newSingleThread/
    .test(code);
}
