// Reads the pages of static/docs/: the tests compare them with what the program
// does, and run the commands and settings that they show.
import { assert } from "@std/assert";
import { STATIC } from "./harness.ts";

/** The page of that name, as it is in the file. */
export function docsPage(name: string): string {
  return Deno.readTextFileSync(`${STATIC}/docs/${name}.html`);
}

/** The characters that a page may write as entities. */
const ENTITIES: Record<string, string> = {
  amp: "&",
  gt: ">",
  lt: "<",
};

/** The text that a person sees in the block of code with this label. */
export function codeOf(name: string, label: string): string {
  const blocks = docsPage(name).matchAll(/<pre\b([^>]*)>([^]*?)<\/pre>/g);
  const block = [...blocks].find(([, attributes]) =>
    attributes?.includes(`aria-label="${label}"`)
  );
  assert(block, `docs/${name} has no code that is called ${label}`);
  const text = (block[2] ?? "").replaceAll(/<[^>]*>/g, "")
    .replaceAll(/&(\w+);/g, (entity, name) => ENTITIES[name] ?? entity);
  return `${text}\n`;
}
