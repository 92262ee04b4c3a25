// The clients of static/examples/, and the commands in their first lines.
import { STATIC } from "./harness.ts";

export const FOLDER = `${STATIC}/examples`;

/** The client files in that folder, in the order of their names. */
export function exampleFiles(): string[] {
  return [...Deno.readDirSync(FOLDER)].map(({ name }) => name)
    .filter((name) => name !== "index.html").sort();
}

/** The commands to type: the indented lines of a client's header. */
export function commandsOf(file: string): string[] {
  const [header = ""] = Deno.readTextFileSync(`${FOLDER}/${file}`)
    .split(/\n(?!#|\/\/)/);
  return [...header.matchAll(/^(?:#|\/\/)(?: {3}|\t)(.+)$/gm)]
    .map(([, command = ""]) => command);
}
