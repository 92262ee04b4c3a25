// Types for the few @std functions in use, because their npm mirror has none.
// Not needed any more when the import map points to jsr:.

declare module "@std/http/negotiation" {
  export function acceptsEncodings(
    request: { headers: Headers },
    ...encodings: string[]
  ): string | undefined;
}

declare module "@std/path" {
  export function extname(path: string): string;
  export function join(...paths: string[]): string;
}

declare module "@std/assert" {
  export function assert(
    condition: unknown,
    message?: string,
  ): asserts condition;
  export function assertEquals<T>(
    actual: T,
    expected: T,
    message?: string,
  ): void;
  export function assertMatch(
    actual: string,
    expected: RegExp,
    message?: string,
  ): void;
  export function assertStringIncludes(
    actual: string,
    expected: string,
    message?: string,
  ): void;
  export function assertThrows<E extends Error>(
    body: () => unknown,
    type: new (...args: never[]) => E,
    messageIncludes?: string,
  ): E;
}
