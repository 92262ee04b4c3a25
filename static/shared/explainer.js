// @ts-check
// Makes the link to the page that explains closes. The link opens a new tab
// with a copy of this tab's storage, so that the last frames are shown there.

import { make } from "./make.js";

/**
 * @param {string} words
 * @param {number | ""} code "" links to all codes
 */
export function explainer(words, code = "") {
  const href = `close/${code}`;
  return make("a", { href, target: "_blank", rel: "opener" }, words);
}
