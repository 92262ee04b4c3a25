// @ts-check
// Puts the address of this server into the commands on the page of the
// examples. Words on that page name it where no script runs.

import { byId } from "./dom.js";
import { socketUrl } from "./address.js";

const address = socketUrl(new URL("..", document.baseURI).href, "lobby");
for (const commands of document.querySelectorAll("pre")) {
  const text = commands.textContent ?? "";
  commands.textContent = text.replace("[ADDRESS]", address);
}
byId("by-words", HTMLElement).hidden = true;
