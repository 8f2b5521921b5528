// Figures over time: as columns on top of each other, or as lines.

import { chart, niceTicks, spaced } from "/chart.js";
import { freshId, h, s } from "/dom.js";
import { when } from "/parts.js";

const HEIGHT = 180;
const LEFT = 48;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 24;
const LABEL_ROOM = 64;
// beside its colour, each series has stripes (by their angle) or a dash of its own
const STRIPES = [null, 45, 90, null];
const DASHES = [null, "6 3", "2 3", "8 3 2 3"];

/**
 * A chart. `series` are `{ name, className, values }` with a value, or null, for each of `times`; `text` says a value and `axisText` one
 * beside the axis; `timeText` says a time. `isStacked` draws columns, the first series at the bottom.
 */
export function timeChart({ title, summary, times, series, text, axisText = text, timeText, isStacked = false, max = 0 }) {
  const top = niceTicks(Math.max(max, highest(series, times, isStacked))).at(-1);
  const reading = readingOf(series, times, text, timeText, isStacked);
  const draw = (width) => {
    const plane = planeOf(width, times, top, isStacked);
    const shapes = isStacked ? columns(plane, series) : series.map((one, index) => line(plane, one, index));
    return [grid(plane, axisText), timeLabels(plane, timeText), shapes, pointer(plane, reading)];
  };
  const numbers = series.map(({ name, values }) => ({ name, isNumber: true, cell: (index) => text(values[index]) }));
  const time = { name: "Time", isHead: true, cell: (index) => when(times[index], timeText) };
  return chart({ title, summary, height: HEIGHT, draw, legend: reading.element, columns: [time, ...numbers], rows: [...times.keys()] });
}

function highest(series, times, isStacked) {
  const at = (index) => series.map(({ values }) => values[index] ?? 0);
  const heights = times.map((_, index) => (isStacked ? at(index).reduce((sum, value) => sum + value, 0) : Math.max(...at(index))));
  return Math.max(0, ...heights);
}

/** Where a time and a value are. */
function planeOf(width, times, top, isStacked) {
  const inner = { width: Math.max(1, width - LEFT - RIGHT), height: HEIGHT - TOP - BOTTOM };
  const step = times.length > 1 ? Math.min(...times.slice(1).map((time, index) => time - times[index])) : 1;
  const [first, last] = [times[0] ?? 0, times.at(-1) ?? 0];
  // a column stands on its time and is one step wide; a line goes from the first to the last
  const span = isStacked ? last - first + step : Math.max(last - first, 1);
  const x = (ms) => LEFT + ((ms - first) / span) * inner.width;
  return {
    width, inner, times, top,
    step: (step / span) * inner.width,
    x,
    middle: (index) => x(times[index]) + (isStacked ? (step / span) * inner.width / 2 : 0),
    y: (value) => TOP + inner.height * (1 - value / top),
  };
}

function grid({ top, width, y }, axisText) {
  return niceTicks(top).map((tick) => [
    s("line", { class: tick ? "rule" : "axis", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }),
    s("text", { class: "tick", x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, axisText(tick)),
  ]);
}

function timeLabels({ times, middle, inner, width }, timeText) {
  const fits = (index) => middle(index) < width - RIGHT - 16;
  return spaced(times.length, inner.width, LABEL_ROOM)
    .filter(fits)
    .map((index) => s("text", { class: "tick", x: middle(index), y: HEIGHT - 6, "text-anchor": "middle" }, timeText(times[index])));
}

function columns(plane, series) {
  const textures = series.map((_, index) => texture(index));
  const gap = plane.step > 4 ? 1 : 0;
  const rects = plane.times.map((time, index) => {
    let below = 0;
    return series.map(({ className, values }, place) => {
      const value = values[index] ?? 0;
      if (!value) return null;
      const [low, high] = [plane.y(below), plane.y(below + value)];
      below += value;
      const box = { x: plane.x(time), y: high, width: Math.max(1, plane.step - gap), height: Math.max(1, low - high) };
      return [s("rect", { class: `series ${className}`, ...box }), textures[place] && s("rect", { fill: `url(#${textures[place].id})`, ...box })];
    });
  });
  return [s("defs", null, textures), rects];
}

/** Stripes over the colour, for the series that have some. */
function texture(index) {
  const angle = STRIPES[index];
  if (!angle) return null;
  const pattern = { id: freshId("texture"), width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: `rotate(${angle})` };
  return s("pattern", pattern, s("line", { class: "stripe", x1: 0, x2: 0, y1: 0, y2: 5 }));
}

function line(plane, { className, values }, index) {
  const pieces = runs(values).map((run) => run.map((place) => `${plane.middle(place).toFixed(1)},${plane.y(values[place]).toFixed(1)}`));
  return pieces.map((points) => (points.length > 1
    ? s("polyline", { class: `line ${className}`, "stroke-dasharray": DASHES[index % DASHES.length], points: points.join(" ") })
    : dot(points[0], className)));
}

function dot(point, className) {
  const [cx, cy] = point.split(",");
  return s("circle", { class: `series ${className}`, cx, cy, r: 3 });
}

/** Indices of values that follow each other without a gap. */
function runs(values) {
  const all = [[]];
  values.forEach((value, index) => {
    if (value === null || value === undefined) all.push([]);
    else all.at(-1).push(index);
  });
  return all.filter((run) => run.length);
}

/** A line under the pointer; the legend says the values there. */
function pointer(plane, reading) {
  const mark = s("line", { class: "mark", y1: TOP, y2: TOP + plane.inner.height, visibility: "hidden" });
  const move = (event) => {
    const x = event.offsetX;
    const distance = (index) => Math.abs(plane.middle(index) - x);
    const nearest = plane.times.reduce((best, _, index) => (distance(index) < distance(best) ? index : best), 0);
    mark.setAttribute("x1", plane.middle(nearest));
    mark.setAttribute("x2", plane.middle(nearest));
    mark.setAttribute("visibility", "visible");
    reading.say(nearest);
  };
  const leave = () => {
    mark.setAttribute("visibility", "hidden");
    reading.say(null);
  };
  return [mark, s("rect", { class: "sensor", x: LEFT, y: 0, width: plane.inner.width, height: HEIGHT, pointermove: move, pointerleave: leave })];
}

/** The legend: each series with its swatch and, under the pointer, its value. */
function readingOf(series, times, text, timeText, isStacked) {
  const values = series.map(() => h("b"));
  const time = h("span", { class: "at" });
  const items = series.map(({ name, className }, index) => h("li", null, swatch(className, index, isStacked), `${name} `, values[index]));
  const say = (index) => {
    time.textContent = index === null ? "" : timeText(times[index]);
    values.forEach((element, place) => {
      element.textContent = index === null ? "" : text(series[place].values[index]);
    });
  };
  // the table says the same to those who do not point
  return { say, element: h("div", { class: "legend", "aria-hidden": "true" }, h("ul", null, items), time) };
}

function swatch(className, index, isStacked) {
  if (!isStacked) {
    const dashes = { x1: 0, x2: 20, y1: 5, y2: 5, class: `line ${className}`, "stroke-dasharray": DASHES[index % DASHES.length] };
    return s("svg", { width: 20, height: 10 }, s("line", dashes));
  }
  const pattern = texture(index);
  const box = { width: 12, height: 12, rx: 2 };
  return s("svg", { width: 12, height: 12 },
    pattern && s("defs", null, pattern),
    s("rect", { class: `series ${className}`, ...box }),
    pattern && s("rect", { fill: `url(#${pattern.id})`, ...box }));
}
