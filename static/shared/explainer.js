// @ts-check
// Makes the link to the page that explains closes. It opens a tab of its own,
// with a copy of what this one keeps: the last frames are shown there.

import { make } from "./make.js";

/**
 * @param {string} words
 * @param {number | ""} code without one, to all codes
 */
export function explainer(words, code = "") {
  const href = `close/${code}`;
  return make("a", { href, target: "_blank", rel: "opener" }, words);
}
