// Makes chat/protocol/confusables.ts anew, from the spoof checker in ICU, which is
// the Unicode Consortium's own library and has the table of UTS #39 in it:
//   deno task confusables
// Linux distributions have it (Debian: libicu72). Run it when that has a newer
// Unicode: the file's header says which one it has now.
const TABLE = new URL("../../chat/protocol/confusables.ts", import.meta.url);

/** Releases of ICU that are looked for, the newest first. */
const VERSIONS = Array.from({ length: 40 }, (_, i) => 99 - i);

/** What ICU's functions take: UTF-16 in a buffer, and a place for an error code. */
const FUNCTIONS = {
  open: { parameters: ["buffer"], result: "pointer" },
  skeleton: {
    parameters: ["pointer", "u32", "buffer", "i32", "buffer", "i32", "buffer"],
    result: "i32",
  },
  close: { parameters: ["pointer"], result: "void" },
  version: { parameters: ["buffer"], result: "void" },
} as const;

function load(version: number) {
  try {
    return Deno.dlopen(`libicui18n.so.${version}`, {
      open: { ...FUNCTIONS.open, name: `uspoof_open_${version}` },
      skeleton: {
        ...FUNCTIONS.skeleton,
        name: `uspoof_getSkeleton_${version}`,
      },
      close: { ...FUNCTIONS.close, name: `uspoof_close_${version}` },
      version: { ...FUNCTIONS.version, name: `u_getUnicodeVersion_${version}` },
    });
  } catch {
    return undefined;
  }
}

/** What may be in a name after it was normalised and taken apart (NFKD). */
function* charsOfNames(): Iterable<string> {
  for (let code = 0; code <= 0x10ffff; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const char = String.fromCodePoint(code);
    if (!/[\p{L}\p{M}\p{N}_ -]/u.test(char)) continue;
    if (/\p{Default_Ignorable_Code_Point}/u.test(char)) continue;
    if (char.normalize("NFKD") === char) yield char;
  }
}

const hexOf = (text: string) =>
  [...text].map((char) => char.codePointAt(0)?.toString(16)).join("+");

/**
 * The text of the file as ICU has it, and the Unicode version of that; undefined
 * where there is no ICU. A line of its table is a prototype and what looks like it.
 */
export function readIcu(): { unicode: string; text: string } | undefined {
  for (const version of VERSIONS) {
    const icu = load(version);
    if (icu === undefined) continue;
    try {
      return readFrom(icu);
    } finally {
      icu.close();
    }
  }
}

function readFrom({ symbols: icu }: NonNullable<ReturnType<typeof load>>) {
  const numbers = new Uint8Array(4);
  icu.version(numbers);
  const status = new Int32Array(1);
  const checker = icu.open(status);
  const output = new Uint16Array(256);
  const skeletonOf = (text: string) => {
    const input = Uint16Array.from(text.split(""), (c) => c.charCodeAt(0));
    const length = icu.skeleton(
      ...[checker, 0, input, input.length] as const,
      ...[output, output.length, status] as const,
    );
    if ((status[0] ?? 1) > 0) throw new Error(`ICU: error ${status[0]}`);
    return String.fromCharCode(...output.subarray(0, length));
  };
  // What the table has for a few letters has letters that are in the table, too.
  const lastOf = (text: string): string => {
    const skeleton = skeletonOf(text);
    return skeleton === text ? text : lastOf(skeleton);
  };
  const lines = new Map<string, string[]>();
  for (const char of charsOfNames()) {
    const prototype = hexOf(lastOf(char));
    if (prototype === hexOf(char)) continue;
    lines.set(prototype, [...lines.get(prototype) ?? [], hexOf(char)]);
  }
  icu.close(checker);
  const unicode = numbers.subarray(0, 3).join(".");
  return { unicode, text: textOf(unicode, lines) };
}

function textOf(unicode: string, lines: Map<string, string[]>): string {
  const table = [...lines].map((line) => line.flat().join(" ")).join("\n");
  return `// What looks alike in names: the table of UTS #39 (confusables.txt) of Unicode ${unicode}, as
// the library ICU has it, each line followed to its last prototype. It is made by
// \`deno task confusables\` (tests/support/confusables.ts): change nothing here by hand.
// A line has a prototype, then what looks like it; code points in hexadecimal.
// deno-fmt-ignore-file

/** The version of Unicode that the table is of. */
export const UNICODE_VERSION = "${unicode}";

const LINES = \`
${table}
\`;

const textOf = (codes: string) =>
  String.fromCodePoint(...codes.split("+").map((code) => parseInt(code, 16)));

/** Prototypes by what looks like them: one character of a name, taken apart (NFKD). */
export const PROTOTYPES: ReadonlyMap<string, string> = new Map(
  LINES.trim().split("\\n").flatMap((line) => {
    const [prototype = "", ...alike] = line.split(" ").map(textOf);
    return alike.map((char) => [char, prototype] as const);
  }),
);
`;
}

if (import.meta.main) {
  const made = readIcu();
  if (made === undefined) throw new Error("No ICU was found (libicui18n.so).");
  await Deno.writeTextFile(TABLE, made.text);
  console.log(`The table is that of Unicode ${made.unicode}.`);
}
