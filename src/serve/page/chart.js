// What every chart has: a name, a legend that says the values under the pointer, a drawing as wide as there is room, and a table
// that says the same.

import { freshId, h, s, swap } from "/dom.js";
import { disclosure, table } from "/parts.js";

const TICKS = 3;

/**
 * A figure; its title is heard and not seen, for it stands under a heading. `draw(width)` answers SVG elements for a drawing `height` high; `columns` and `rows` are its table; `summary` is what it
 * shows, in a sentence, for those who do not see it. `legend` stands above the drawing.
 */
export function chart({ title, summary, height, draw, legend = null, columns, rows }) {
  const id = freshId("chart");
  const drawing = s("svg", { role: "img", "aria-labelledby": id, "aria-description": summary, height, width: "100%" });
  const holder = h("div", { class: "drawing" }, drawing);
  let drawn = 0;
  new ResizeObserver(([{ contentRect: { width } }]) => {
    if (!width || width === drawn) return;
    drawn = width;
    drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    swap(drawing, draw(width));
  }).observe(holder);
  return h("figure", { class: "chart" },
    h("figcaption", null, h("span", { id, class: "unseen" }, title), legend),
    holder,
    disclosure(`table of ${title}`, "As a table", scrolling(`${title}, as a table`, table(title, columns, rows, { hideCaption: true }))));
}

/** What may be wider than the page; it is scrolled by itself, with the keyboard too. */
function scrolling(label, content) {
  return h("div", { class: "scrolling", tabindex: "0", role: "region", "aria-label": label }, content);
}

/** Round numbers from 0 up to at least `max`. */
export function niceTicks(max) {
  if (!(max > 0)) return [0, 1];
  const rough = max / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const ticks = [0];
  while (ticks.at(-1) < max) ticks.push(Number((ticks.at(-1) + step).toPrecision(12)));
  return ticks;
}

/** Every n-th of `count` places, so that labels `room` wide fit into `width`. */
export function spaced(count, width, room) {
  const every = Math.max(1, Math.ceil((count * room) / Math.max(1, width)));
  return Array.from({ length: count }, (_, index) => index).filter((index) => index % every === 0);
}
