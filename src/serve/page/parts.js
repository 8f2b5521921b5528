// Pieces that several views are made of.

import { freshId, h, s } from "/dom.js";
import { capital, count, dateTime, shortDateTime, shownId, words } from "/format.js";

/** A section with a heading of the second level. */
export function card(title, { wide = false, note = null } = {}, ...children) {
  const id = freshId("part");
  const heading = h("h2", { id }, title);
  return h("section", { class: wide ? "card wide" : "card", "aria-labelledby": id }, heading, note && h("p", { class: "quiet" }, note), children);
}

/** A moment of event time; `text` says it in short where the whole would be too long. */
export function when(ms, text = shortDateTime) {
  if (ms === null || ms === undefined) return "–";
  return h("time", { datetime: new Date(ms).toISOString(), title: dateTime(ms) }, text(ms));
}

/** A number that is read from elsewhere by its name: by tests, by scripts of those who watch. */
export function figure(name, value, text = count) {
  return h("data", { class: "figure", value, "data-figure": name }, text(value));
}

/** A large number with its name. */
export function tile(label, value, note = null) {
  return h("div", { class: "tile" }, h("dt", null, label), h("dd", null, value, note && h("span", { class: "quiet" }, note)));
}

export function tiles(...children) {
  return h("dl", { class: "tiles" }, children);
}

/** Facts by name; those that are null are left out. */
export function facts(entries) {
  const known = entries.filter(([, value]) => value !== null && value !== undefined);
  return h("dl", { class: "facts" }, known.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

export function empty(text) {
  return h("p", { class: "empty" }, text);
}

/**
 * A table. Each column is `{ name, cell(row), isNumber, isHead }`. On a narrow screen rows become blocks, which takes a table's meaning
 * away from some readers; the roles give it back.
 */
export function table(caption, columns, rows, { hideCaption = false } = {}) {
  const head = columns.map((column) => h("th", { scope: "col", role: "columnheader", class: column.isNumber && "number" }, column.name));
  const line = (row) => h("tr", { role: "row" }, columns.map((column) => cellOf(column, row)));
  return h("div", { class: "table" },
    h("table", { role: "table" },
      h("caption", { class: hideCaption && "unseen" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
      h("tbody", { role: "rowgroup" }, rows.map(line))));
}

function cellOf(column, row) {
  const attributes = { class: column.isNumber ? "number" : null, "data-label": column.name };
  if (column.isHead) return h("th", { ...attributes, scope: "row", role: "rowheader" }, column.cell(row));
  return h("td", { ...attributes, role: "cell" }, column.cell(row));
}

/** Something that may be opened; `keep` names it, so that it stays open when the part around it is loaded again. */
export function disclosure(keep, summary, ...children) {
  return h("details", { "data-keep": keep }, h("summary", { "data-keep": `${keep} summary` }, summary), children);
}

// a form for each word, so that colour is never alone
const SHAPES = {
  page: "M8 1.5 15 14H1z",
  ticket: "M8 1 15 8 8 15 1 8z",
  info: "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2z",
  approve: "M2 8.5 4 6.5l2.5 2.5L12 3.5l2 2-7.5 7.5z",
  review: "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2z",
  step_up: "M8 2 14 9H10v5H6V9H2z",
  decline: "M3 1 8 6l5-5 2 2-5 5 5 5-2 2-5-5-5 5-2-2 5-5-5-5z",
};

/** A word with its shape and colour. */
export function badge(name, text = capital(words(name))) {
  const shape = SHAPES[name] && s("svg", { viewBox: "0 0 16 16", width: 10, height: 10, "aria-hidden": "true" }, s("path", { d: SHAPES[name] }));
  return h("span", { class: `badge ${name}` }, shape, text);
}

/** An entity: its kind, and the beginning of its pseudonym. */
export function entity(kind, id) {
  return h("span", null, `${kind} `, h("code", null, shownId(kind, id)));
}

/** A share of one as a bar; the number stands beside it as text. */
export function meter(value, className = "") {
  const width = Math.round(Math.max(0, Math.min(1, value)) * 100);
  return h("span", { class: `meter ${className}`, "aria-hidden": "true" },
    s("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none" }, s("rect", { class: "track", width: 100, height: 6 }), s("rect", { class: "fill", width, height: 6 })));
}

/** A choice among `options`, each `[value, text]`. */
export function choice(label, options, chosen, choose) {
  const id = freshId("choice");
  const items = options.map(([value, text]) => h("option", { value, selected: value === chosen }, text));
  return h("div", { class: "field" }, h("label", { for: id }, label), h("select", { id, change: (event) => choose(event.target.value) }, items));
}

/** A button that copies a text; where the clipboard is closed to the page, it says so. */
export function copyButton(text, what) {
  const said = h("span", { class: "quiet", role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = "Copied.";
    } catch {
      said.textContent = "The browser does not let the page copy; select the text.";
    }
  };
  return h("span", { class: "copy" }, h("button", { type: "button", "data-keep": `copy ${what}`, click: copy }, `Copy ${what}`), said);
}
