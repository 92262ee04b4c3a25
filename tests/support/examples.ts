// The clients of static/examples/, and what the first lines of each say to type.
import { STATIC } from "./harness.ts";

export const FOLDER = `${STATIC}/examples`;

/** Each client of that folder, in the order of their names. */
export function exampleFiles(): string[] {
  return [...Deno.readDirSync(FOLDER)].map(({ name }) => name)
    .filter((name) => name !== "index.html").sort();
}

/** What the first lines of a client say to type: they are indented. */
export function commandsOf(file: string): string[] {
  const [header = ""] = Deno.readTextFileSync(`${FOLDER}/${file}`)
    .split(/\n(?!#|\/\/)/);
  return [...header.matchAll(/^(?:#|\/\/)(?: {3}|\t)(.+)$/gm)]
    .map(([, command = ""]) => command);
}
