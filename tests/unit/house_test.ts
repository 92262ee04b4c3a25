// The order of the floors: a folder of chat/ imports only from folders below
// it, so no change reaches up; and no files import each other in a circle.
import { assert, assertEquals } from "@std/assert";

const CHAT = new URL("../../chat/", import.meta.url);
const STATIC = new URL("../../static/", import.meta.url);

/** From the bottom up. The files in chat/ itself are on top of all of them. */
const FLOORS = [
  ["protocol", "ops"],
  ["http", "store"],
  ["room"],
  ["session"],
  ["transport"],
  ["x_ray", "check"],
  [""],
];

function* modulesIn(folder: URL, ending = ".ts"): Iterable<URL> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* modulesIn(new URL(`${name}/`, folder), ending);
    else if (name.endsWith(ending)) yield new URL(name, folder);
  }
}

/** The addresses of what a module imports from files here, also of types only. */
function importsOf(module: URL): string[] {
  const text = Deno.readTextFileSync(module);
  const found = text.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g);
  return [...found].map(([, path = ""]) => new URL(path, module).href);
}

/** The folder directly below chat/ in which a module is; "" for chat/ itself. */
function folderOf(module: URL): string {
  const [folder = "", ...rest] = module.href.slice(CHAT.href.length).split("/");
  return rest.length === 0 ? "" : folder;
}

function floorOf(folder: string): number {
  return FLOORS.findIndex((floor) => floor.includes(folder));
}

const modules = [...modulesIn(CHAT)];

Deno.test("every folder of chat/ has a floor", () => {
  const folders = new Set(modules.map(folderOf));
  assertEquals([...folders].sort(), FLOORS.flat().sort());
});

const imports = new Map(modules.map((module) => [
  module.href,
  importsOf(module).filter((href) => href.startsWith(CHAT.href)),
]));

Deno.test("a folder of chat/ imports only from floors below its own", () => {
  let count = 0;
  for (const [module, imported] of imports) {
    for (const href of imported) {
      count++;
      const [from, target] = [new URL(module), new URL(href)].map(folderOf);
      assert(from !== undefined && target !== undefined);
      const isBelow = floorOf(target) < floorOf(from);
      assert(from === target || isBelow, `${module} imports ${href}`);
    }
  }
  assert(count > 100, "the imports were not found");
});

Deno.test("no files of chat/ import each other in a circle", () => {
  const done = new Set<string>();
  function follow(module: string, way: string[]): void {
    const circle = way.slice(way.indexOf(module));
    assert(!way.includes(module), `a circle: ${circle.join(" → ")}`);
    if (done.has(module)) return;
    for (const next of imports.get(module) ?? []) {
      follow(next, [...way, module]);
    }
    done.add(module);
  }
  for (const module of imports.keys()) follow(module, []);
});

Deno.test("client/ and shared/, which the pages share, import from no page", () => {
  const folders = ["client/", "shared/"].map((name) => new URL(name, STATIC));
  const files = folders.flatMap((folder) => [...modulesIn(folder, ".js")]);
  assert(files.length > 10, "the modules were not found");
  for (const module of files) {
    for (const href of importsOf(module)) {
      const isShared = folders.some((folder) => href.startsWith(folder.href));
      assert(isShared, `${module.href} imports ${href}`);
    }
  }
});

Deno.test("a page imports from no other page, but for the chat, which holds a panel of the X-ray", () => {
  const pages = ["chat/", "learn/", "lab/", "x-ray/", "close/"];
  for (const page of pages) {
    const folder = new URL(page, STATIC);
    for (const module of modulesIn(folder, ".js")) {
      for (const href of importsOf(module)) {
        if (href === new URL("x-ray/toggle.js", STATIC).href) continue;
        const other = pages.find((it) =>
          it !== page && href.startsWith(new URL(it, STATIC).href)
        );
        assert(other === undefined, `${module.href} imports ${href}`);
      }
    }
  }
});
