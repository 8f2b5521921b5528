// Shares: steps of a whole, a distribution beside its reference, and distributions over time.

import { chart, spaced } from "/chart.js";
import { h, s } from "/dom.js";
import { share } from "/format.js";
import { figure, meter, table, when } from "/parts.js";

const ROW = 20;
const HEAT_BOTTOM = 24;
const HEAT_LABELS = 104;
const LABEL_CHARACTERS = 13;

/** Steps, each `{ name, figure, value, note }`, as bars of their share of `whole`. */
export function steps(rows, whole) {
  const row = (step) => h("li", null,
    h("span", null, step.name),
    h("span", { class: "quiet note" }, step.note ?? (whole ? share(step.value / whole) : "")),
    h("span", { class: "value" }, figure(step.figure, step.value)),
    meter(whole ? step.value / whole : 0));
  return h("ul", { class: "steps" }, rows.map(row));
}

/** A distribution now and in the reference, cell by cell: a table whose numbers are bars as well. */
export function histogram(caption, cells, now, reference) {
  const most = Math.max(...now, ...(reference ?? []), 0.01);
  const bars = (index) => h("span", { class: "pair" }, meter(now[index] / most, "now"), reference && meter(reference[index] / most, "reference"));
  const columns = [
    { name: "Value", isHead: true, cell: (index) => cells[index] || "(empty)" },
    { name: "Now", isNumber: true, cell: (index) => share(now[index]) },
    { name: "Reference", isNumber: true, cell: (index) => (reference ? share(reference[index]) : "–") },
    { name: reference ? "Now above, reference below" : "Share", cell: bars },
  ];
  return h("div", { class: "histogram" }, table(caption, columns, [...cells.keys()]));
}

/** Shares of the same cells window by window: the darker, the larger. Windows whose cells were cut otherwise stay blank. */
export function heat({ title, summary, cells, times, shares, timeText }) {
  const height = cells.length * ROW + HEAT_BOTTOM;
  const most = Math.max(0.01, ...shares.flatMap((of) => of ?? []));
  const draw = (width) => {
    const step = (width - HEAT_LABELS) / Math.max(1, times.length);
    const x = (index) => HEAT_LABELS + index * step;
    const box = (window, cell) => shares[window] && s("rect", {
      class: "heat", x: x(window), y: cell * ROW, width: Math.max(1, step - 1), height: ROW - 1, "fill-opacity": (shares[window][cell] / most).toFixed(3),
    }, s("title", null, `${timeText(times[window])}, ${cells[cell]}: ${share(shares[window][cell])}`));
    return [
      cells.map((cell, index) => s("text", { class: "tick", x: HEAT_LABELS - 6, y: index * ROW + 14, "text-anchor": "end" }, shortened(cell))),
      times.map((_, window) => cells.map((__, cell) => box(window, cell))),
      spaced(times.length, width - HEAT_LABELS, 72).filter((index) => x(index) < width - 40)
        .map((index) => s("text", { class: "tick", x: x(index), y: height - 6 }, timeText(times[index]))),
    ];
  };
  const cell = (name, index) => ({ name, isNumber: true, cell: (window) => (shares[window] ? share(shares[window][index]) : "–") });
  const columns = [{ name: "Window", isHead: true, cell: (window) => when(times[window]) }, ...cells.map(cell)];
  return chart({ title, summary, height, draw, columns, rows: [...times.keys()] });
}

const shortened = (text) => (text.length > LABEL_CHARACTERS ? `${text.slice(0, LABEL_CHARACTERS - 1)}…` : text || "(empty)");
