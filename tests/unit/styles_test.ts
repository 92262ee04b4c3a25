// A stylesheet cannot reach another page's elements: the base knows plain
// elements only, and every other rule begins with the class of what it is for.
import { assert, assertEquals } from "@std/assert";
import { dirname, join } from "node:path/posix";

const STATIC = new URL("../../static/", import.meta.url);
const BASE = "shared/base.css";
/** Small parts of several pages, each the root of its own rules. */
const PARTS = "shared/parts.css";
/** What pages have in common that are read from top to bottom. */
const ARTICLE = "shared/article.css";
/** Each other stylesheet with the class that begins its rules. */
const ROOTS: Record<string, string> = {
  "chat/chat.css": "chat-page",
  "lab/lab.css": "lab-page",
  "learn/learn.css": "learn-page",
  [ARTICLE]: "article-page",
  "not-found.css": "not-found-page",
  "x-ray/page.css": "x-ray-page",
  "x-ray/x-ray.css": "x-ray-panel",
};

/** The paths of the files below static/ that end so. */
function filesOf(ending: string, folder = ""): string[] {
  return [...Deno.readDirSync(new URL(folder, STATIC))].flatMap((entry) =>
    entry.isDirectory
      ? filesOf(ending, `${folder}${entry.name}/`)
      : entry.name.endsWith(ending)
      ? [folder + entry.name]
      : []
  ).sort();
}

const read = (path: string) => Deno.readTextFileSync(new URL(path, STATIC));

/** Splits at commas that are in no brackets. */
function splitList(list: string): string[] {
  const parts = [""];
  let depth = 0;
  for (const char of list) {
    if ("([".includes(char)) depth++;
    if (")]".includes(char)) depth--;
    if (char === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += char;
  }
  return parts.map((part) => part.trim().replaceAll(/\s+/g, " "));
}

/** All selectors, those inside of @media and the like too; strings emptied. */
function selectorsOf(css: string): string[] {
  const bare = css.replaceAll(/\/\*[^]*?\*\//g, "")
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  const found: string[] = [];
  const open: ("group" | "keyframes" | "rule")[] = [];
  let prelude = "";
  for (const char of bare) {
    if (char === "{") {
      const head = prelude.trim();
      if (open.includes("rule")) throw new Error(`a rule in a rule: ${head}`);
      if (head.startsWith("@keyframes")) open.push("keyframes");
      else if (head.startsWith("@")) open.push("group");
      else {
        if (!open.includes("keyframes")) found.push(...splitList(head));
        open.push("rule");
      }
    } else if (char === "}") {
      assert(open.pop() !== undefined, "a } without its {");
    }
    prelude = "{};".includes(char) ? "" : prelude + char;
  }
  assertEquals(open, [], "a { without its }");
  return found;
}

const classesOf = (selector: string) =>
  [...selector.matchAll(/\.([a-z][\w-]*)/g)].map(([, name]) => name ?? "");

/** What is wrong with a selector of that stylesheet; "" if nothing is. */
function faultOf(path: string, selector: string): string {
  if (selector.includes("#")) return "selects by id";
  if (path === BASE) {
    return classesOf(selector).length === 0 ? "" : "has a class";
  }
  const root = /^\.([a-z][\w-]*)/.exec(selector)?.[1];
  if (root === undefined) return "does not begin with a class";
  if (path === PARTS) return "";
  if (root !== ROOTS[path]) return `does not begin with .${ROOTS[path]}`;
  // The root alone, and then what is in it: not what stands beside it.
  const compound = /^(?:\([^]*?\)+|[^\s>+~])+/.exec(selector)?.[0] ?? "";
  return /^\s*[+~]/.test(selector.slice(compound.length))
    ? "selects what is beside its root"
    : "";
}

const faultsOf = (path: string, css: string) =>
  selectorsOf(css).flatMap((selector) => {
    const fault = faultOf(path, selector);
    return fault === "" ? [] : [`${path}: ${selector} ${fault}`];
  });

Deno.test("no rule reaches beyond the page or panel that it is for", () => {
  const sheets = filesOf(".css");
  assertEquals(sheets, [...Object.keys(ROOTS), BASE, PARTS].sort());
  for (const path of sheets) {
    const css = read(path);
    assert(selectorsOf(css).length > 0, path);
    assertEquals(faultsOf(path, css), []);
  }
});

Deno.test("a rule that reaches beyond its page is found, however it is written", () => {
  for (
    const [path, selector] of [
      ["x-ray/x-ray.css", "#lines span"],
      ["x-ray/x-ray.css", ".lines span"],
      ["x-ray/x-ray.css", ".x-ray-panels span"],
      ["x-ray/x-ray.css", ".x-ray-panel + main"],
      ["x-ray/x-ray.css", ".x-ray-panel:is([open], [a]) ~ main"],
      ["chat/chat.css", ".chat-page .a, .b"],
      ["chat/chat.css", ".chat-page .a:has(#b)"],
      ["chat/chat.css", ":is(.chat-page, .lab-page) .a"],
      ["chat/chat.css", "body"],
      [BASE, "main:not(.chat)"],
      [PARTS, "p.small"],
    ] as const
  ) {
    const css = `/* .a { */ @media print { ${selector} { content: "}#"; } }`;
    assertEquals(faultsOf(path, css).length, 1, css);
  }
  const fine = `.chat-page[data-line="#"]:has(.a, .b) > .c { d: "e{" }
    @keyframes f { from { g: h } to { i: j } }`;
  assertEquals(faultsOf("chat/chat.css", fine), []);
});

for (const page of filesOf(".html")) {
  Deno.test(`${page} loads the base, and styles for what is in it alone`, () => {
    const html = read(page);
    const [base, ...sheets] = [
      ...html.matchAll(/<link rel="stylesheet" href="([^"]*)">/g),
    ].map(([, href = ""]) =>
      href.startsWith("{HOME}")
        ? href.slice("{HOME}".length)
        : join(dirname(page), href)
    );
    assertEquals(base, BASE);
    const body = /<body class="((?:[\w-]+-page ?)+)"/.exec(html)?.[1];
    assert(body, "its body has no class that ends in -page");
    const classes = [...html.matchAll(/\sclass="([^"]*)"/g)]
      .flatMap(([, names]) => names?.split(" ") ?? []);
    const own = Object.keys(ROOTS).filter((path) =>
      classes.includes(ROOTS[path] ?? "")
    );
    assertEquals(sheets.filter((path) => path !== PARTS).sort(), own.sort());

    // A page's rules reach into its panels: so they share no words. A page that is
    // an article is one in the same elements.
    const [first = [], ...rest] = own.filter((path) => path !== ARTICLE).map((
      path,
    ) => selectorsOf(read(path)).flatMap(classesOf));
    const shared = new Set(selectorsOf(read(PARTS)).flatMap(classesOf));
    for (const name of Object.values(ROOTS)) shared.add(name);
    for (const others of rest) {
      const both = first.filter((name) => others.includes(name));
      assertEquals(both.filter((name) => !shared.has(name)), []);
    }
  });
}
