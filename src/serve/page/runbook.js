// The runbook's entry about an alert: what it means, how to see that it is so, what it usually is, what to do, when to let it be.

import { request } from "/api.js";
import { h } from "/dom.js";

/** An element that holds the entry at `place`, `…#name`; where it cannot be read, it says where it stands. */
export function runbookEntry(place) {
  const element = h("div", { class: "runbook" }, h("p", null, "See ", h("code", null, place)));
  read(place).then((points) => points.length && element.replaceChildren(h("ul", { class: "bullets" }, points)), () => {});
  return element;
}

async function read(place) {
  const response = await request("/runbook.md", {});
  const name = place.split("#").at(-1);
  const entry = (await response.text()).split(/^#+ /m).find((part) => part.startsWith(`${name}\n`)) ?? "";
  return entry.split("\n").filter((line) => line.startsWith("- ")).map((line) => h("li", null, inline(line.slice(2))));
}

/** Markdown within a line: what is strong, code, and the text of a link. */
function inline(text) {
  return text.split(/(\*\*.+?\*\*|`.+?`|\[.+?\]\(.+?\))/).map((piece) => {
    if (piece.startsWith("**")) return h("strong", null, piece.slice(2, -2));
    if (piece.startsWith("`")) return h("code", null, piece.slice(1, -1));
    return piece.replace(/^\[(.+?)\]\(.+?\)$/, "$1");
  });
}
