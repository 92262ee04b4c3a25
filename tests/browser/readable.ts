// What of a page's text a person cannot read, by the boxes that the browser
// made: what is cut off and cannot be scrolled to, and what something covers.
import type { Locator, Page } from "npm:playwright-core@1.65.1";

/** Beginnings of frames. Whoever selects one reads the whole frame. */
const SHORTENED = ".frame .start";

/**
 * A line for each text that is wholly or partly out of sight, for good: outside
 * of a box that hides what it cannot hold, or of where scrolling ends.
 */
export function cutOff(page: Page): Promise<string[]> {
  return page.locator("html").evaluate((html, shortened) => {
    const { defaultView: view } = html.ownerDocument;
    const SLACK_PX = 1.5;
    const found: string[] = [];
    const walker = html.ownerDocument.createTreeWalker(html, 4 /* texts */);
    while (walker.nextNode()) {
      const text = walker.currentNode;
      const parent = text.parentElement;
      if (text.data.trim() === "") continue;
      if (parent.closest(`head, script, noscript, svg, ${shortened}`)) continue;
      if (!parent.checkVisibility({ visibilityProperty: true })) continue;
      const range = html.ownerDocument.createRange();
      range.selectNodeContents(text);
      for (const line of range.getClientRects()) {
        let { left, right, top, bottom } = line;
        let isForVoices = false;
        let by = null;
        for (let box = parent; box !== null; box = box.parentElement) {
          const style = view.getComputedStyle(box);
          const outer = box.getBoundingClientRect();
          if (outer.width <= 2 && style.overflowX === "hidden") {
            isForVoices = true;
          }
          const isPage = box === html;
          const x0 = isPage ? -view.scrollX : outer.left + box.clientLeft;
          const y0 = isPage ? -view.scrollY : outer.top + box.clientTop;
          const clips = (overflow: string) =>
            overflow !== "visible" || style.contain.includes("content") ||
            style.contain.includes("paint") || isPage;
          const scrolls = (overflow: string) =>
            isPage || ["auto", "scroll"].includes(overflow);
          if (style.display === "inline") continue;
          if (clips(style.overflowX)) {
            const isScroller = scrolls(style.overflowX);
            const [from, to] = isScroller
              ? [x0 - box.scrollLeft * (isPage ? 0 : 1), box.scrollWidth]
              : [x0, box.clientWidth];
            if (left < from - SLACK_PX || right > from + to + SLACK_PX) {
              by = box;
            }
            // From outside, what is scrolled is as wide as its window.
            if (isScroller) [left, right] = [x0, x0 + box.clientWidth];
          }
          if (clips(style.overflowY)) {
            const isScroller = scrolls(style.overflowY);
            const [from, to] = isScroller
              ? [y0 - box.scrollTop * (isPage ? 0 : 1), box.scrollHeight]
              : [y0, box.clientHeight];
            // A line's box is as high as its font, which may be more than the
            // line is: a quarter of it is never ink.
            const slack = SLACK_PX + line.height / 4;
            if (top < from - slack || bottom > from + to + slack) by = box;
            if (isScroller) [top, bottom] = [y0, y0 + box.clientHeight];
          }
          // What is in the top layer is cut off by the window alone.
          if (box.matches(":popover-open, dialog[open]")) box = html;
          if (by !== null || isForVoices) break;
        }
        if (by === null || isForVoices) continue;
        found.push(
          `"${
            text.data.trim().slice(0, 60)
          }" is cut off by <${by.localName} class="${by.className}">`,
        );
        break;
      }
    }
    return found;
  }, SHORTENED);
}

/**
 * A line for each line of that element's text that is not on the screen after
 * it was scrolled to, or is behind something else.
 */
export function unseen(element: Locator): Promise<string[]> {
  return element.evaluate((element) => {
    const { ownerDocument: page } = element;
    const found: string[] = [];
    const walker = page.createTreeWalker(element, 4 /* texts */);
    while (walker.nextNode()) {
      const range = page.createRange();
      range.selectNodeContents(walker.currentNode);
      for (let i = 0; i < range.getClientRects().length; i++) {
        if (range.getClientRects()[i].width === 0) continue;
        const scroller = element.closest("[role=log]");
        const { top: from } = scroller.getBoundingClientRect();
        scroller.scrollTop += range.getClientRects()[i].top - from -
          scroller.clientHeight / 2;
        for (const part of [0, 0.5, 1]) {
          const xNow = () => {
            const { left, width } = range.getClientRects()[i];
            return left + 1 + (width - 2) * part;
          };
          // Code is scrolled by itself.
          const code = walker.currentNode.parentElement.closest("pre");
          if (code !== null) {
            const { left: edge } = code.getBoundingClientRect();
            code.scrollLeft += xNow() - edge - code.clientWidth / 2;
          }
          const { top, bottom } = range.getClientRects()[i];
          const x = xNow();
          const there = page.elementFromPoint(x, (top + bottom) / 2);
          if (there !== null && element.contains(there)) continue;
          const words = walker.currentNode.data.slice(0, 40);
          found.push(`"${words}", line ${i + 1}, at ${Math.round(x)} px`);
        }
      }
    }
    return found;
  });
}
