// @ts-check
// Fills the tables of the experiments with rows of text.

/**
 * Fills the body of a table, which is in the page with its heads. The first
 * cell of a row is its head.
 *
 * @param {HTMLTableElement} table
 * @param {(string | number)[][]} rows
 */
export function fill(table, rows) {
  table.hidden = false;
  table.tBodies[0]?.replaceChildren(...rows.map((cells) => {
    const row = document.createElement("tr");
    row.append(...cells.map((text, i) => createCell(text, i === 0)));
    return row;
  }));
}

/**
 * @param {string | number} text
 * @param {boolean} isHead
 */
function createCell(text, isHead) {
  const cell = document.createElement(isHead ? "th" : "td");
  if (isHead) cell.setAttribute("scope", "row");
  cell.textContent = String(text);
  return cell;
}
