// @ts-check
// Copies text. The browser's clipboard interface does not exist over plain http
// from another machine, which is how a class uses these pages; the old copy
// command does.

/**
 * Returns whether the text is in the clipboard now. Call it from the handler of
 * a key or a button.
 *
 * @param {string} text
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** @param {string} text */
function copyBySelection(text) {
  const { activeElement } = document;
  const box = document.createElement("textarea");
  box.value = text;
  box.style.position = "fixed";
  document.body.append(box);
  box.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    box.remove();
    if (activeElement instanceof HTMLElement) activeElement.focus();
  }
}
