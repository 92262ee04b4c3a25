// The verdict as people and programs read it: lines of text, JSON, JUnit's XML.
import type { Check, Profile, Result, Status } from "./check.ts";
import type { Verdict } from "./run.ts";

const MARKS: Record<Status, string> = {
  passed: "ok  ",
  failed: "FAIL",
  warned: "warn",
  skipped: "skip",
};

/** Prints results as lines, those that were skipped for one reason as one block. */
export class Lines {
  /** The last results, which were skipped for one reason. */
  #skipped: Result[] = [];

  constructor(private readonly print: (line: string) => void) {}

  add(result: Result): void {
    const [first] = this.#skipped;
    const isSame = result.status === "skipped" &&
      first?.detail === result.detail;
    if (!isSame) this.#flush();
    if (result.status === "skipped") this.#skipped.push(result);
    else this.print(formatResult(result));
  }

  end(verdict: Verdict): void {
    this.#flush();
    this.print(formatSum(verdict));
    if (verdict.failed === 0) return;
    this.print("Mend the first failure first: later ones may follow from it.");
  }

  #flush(): void {
    const [first, ...more] = this.#skipped.splice(0);
    if (first === undefined) return;
    this.print(
      more.length === 0 ? formatResult(first) : formatSkipped([first, ...more]),
    );
  }
}

/** One result as lines. */
export function formatResult(result: Result): string {
  const { status, title, id, source, detail } = result;
  const lines = [`${MARKS[status]}  ${title}`];
  if (status !== "passed") lines.push(...indent(detail));
  if (status === "failed" || status === "warned") {
    lines.push(...indent(source), ...indent(`To run it alone: --only ${id}`));
  }
  return lines.join("\n");
}

/** Results that were skipped for one reason. */
function formatSkipped(results: readonly Result[]): string {
  const [{ detail } = { detail: "" }] = results;
  const ids = results.map(({ id }) => id).join(", ");
  return [
    `${MARKS.skipped}  ${results.length} checks`,
    ...indent(detail),
    ...indent(ids),
  ].join("\n");
}

function indent(text: string): string[] {
  return wrap(text, 72).map((line) => `      ${line}`);
}

/** Lines of at most `width` characters, unless a word is longer. */
function wrap(text: string, width: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1) ?? "";
    const longer = line === "" ? word : `${line} ${word}`;
    if (longer.length <= width || line === "") lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function formatSum(
  { passed, failed, warned, skipped }: Verdict,
): string {
  return `${passed} passed, ${failed} failed, ${warned} warned, ` +
    `${skipped} skipped`;
}

export function formatJson(verdict: Verdict): string {
  const { url, profile, passed, failed, warned, skipped, checks } = verdict;
  const whole = { url, profile, passed, failed, warned, skipped, checks };
  return JSON.stringify(whole, null, 2);
}

/** What there is to check, as JSON. */
export function formatJsonList(checks: readonly Check[]): string {
  const list = checks.map(({ id, title, source }) => ({ id, title, source }));
  return JSON.stringify(list, null, 2);
}

/** Checks with their sources. */
export function formatList(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ id }) => id.length)) + 2;
  return checks.map(({ id, title, source }) =>
    `${id.padEnd(width)}${title}\n${" ".repeat(width)}${source}`
  ).join("\n");
}

/** The XML that JUnit writes and that most graders and CI systems read. */
export function formatJunit(
  { url, profile, failed, skipped, checks }: Verdict,
): string {
  const name = attribute(`partyline check ${url}`);
  const counts = `tests="${checks.length}" failures="${failed}" errors="0" ` +
    `skipped="${skipped}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="${name}" ${counts}>`,
    ...checks.map((result) => testcase(profile, result)),
    "  </testsuite>",
    "</testsuites>",
  ].join("\n");
}

function testcase(
  profile: Profile,
  { id, title, source, status, detail }: Result,
): string {
  const start = `    <testcase classname="${profile}.${id}" ` +
    `name="${attribute(title)}"`;
  const text = attribute(`${detail} (${source})`);
  switch (status) {
    case "passed":
      return `${start}/>`;
    case "failed":
      return `${start}><failure message="${text}"/></testcase>`;
    case "skipped":
      return `${start}><skipped message="${text}"/></testcase>`;
    case "warned":
      return `${start}><system-out>${text}</system-out></testcase>`;
  }
}

/** Text inside of XML. A detail has no control characters, but maybe these two. */
function attribute(text: string): string {
  return text.replace(/[\uFFFE\uFFFF]/g, "\uFFFD").replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
