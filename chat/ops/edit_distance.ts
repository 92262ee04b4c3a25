// How far a word is from another one, so that a slip of the fingers can be answered
// with what was probably meant.

/** How many characters to insert, delete or replace (Levenshtein). */
export function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [i, char] of [...from].entries()) {
    const next = [i + 1];
    for (const [j, wanted] of [...to].entries()) {
      next.push(Math.min(
        (next[j] ?? 0) + 1,
        (row[j + 1] ?? 0) + 1,
        (row[j] ?? 0) + (char === wanted ? 0 : 1),
      ));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
