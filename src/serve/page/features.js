// What payments look like, feature by feature: which values move, and how.

import { get, pathOf } from "/api.js";
import { heat, histogram } from "/chart-share.js";
import { timeChart } from "/chart-time.js";
import { freshId, h, swap } from "/dom.js";
import { count, duration, number, share, shortDateTime, weekdayClock } from "/format.js";
import { badge, card, empty, facts, meter, table, when } from "/parts.js";
import { resource } from "/resource.js";

const WINDOWS = 48;
// from here on a shift of the values is large (docs/drift.md)
const PSI_LARGE = 0.25;

export function featuresView({ rest: [stream, feature], signal }) {
  if (stream && feature) return featureView(stream, feature, signal);
  const find = freshId("find");
  const rows = h("div", { class: "resource" });
  let features = [];
  const field = h("input", { id: find, type: "search", autocomplete: "off", input: () => draw() });
  const draw = () => swap(rows, featureTable(features.filter(({ feature: name }) => name.includes(field.value.trim()))));
  const show = (answer) => {
    ({ features } = answer);
    draw();
    return rows;
  };
  const list = resource({ load: () => get("/v1/drift/features", signal), show, wakes: ["alert"], signal });
  const filters = h("div", { class: "filters" }, h("div", { class: "field" }, h("label", { for: find }, "Feature"), field));
  return { title: "Features", nodes: [filters, card("As they look now", {}, list)] };
}

/** What moves, or has moved most, first. */
function byMovement(a, b) {
  return Number(b.is_moving) - Number(a.is_moving) || (psiOf(b) ?? -1) - (psiOf(a) ?? -1) || a.feature.localeCompare(b.feature);
}

function featureTable(features) {
  if (!features.length) return empty("No such feature is profiled.");
  const columns = [
    { name: "Feature", isHead: true, cell: (one) => h("a", { href: addressOf(one), "data-keep": addressOf(one) }, one.feature) },
    { name: "Stream", cell: (one) => one.stream },
    { name: "State", cell: stateOf },
    { name: "PSI", isNumber: true, cell: (one) => number(psiOf(one)) },
    { name: "Shift", cell: (one) => meter((psiOf(one) ?? 0) / (2 * PSI_LARGE), one.is_moving ? "moving" : "") },
    { name: "Missing", isNumber: true, cell: (one) => share(one.missing) },
    { name: "Records", isNumber: true, cell: (one) => count(one.records) },
    { name: "Window", cell: (one) => when(one.window_start_ms, weekdayClock) },
  ];
  return table("The last window of each feature; what moves comes first", columns, [...features].sort(byMovement));
}

const addressOf = ({ stream, feature }) => `#/features/${encodeURIComponent(stream)}/${encodeURIComponent(feature)}`;

function stateOf(window) {
  if (window.is_moving) return badge("moving", "Moves");
  return psiOf(window) === null ? badge("unknown", "No reference yet") : badge("steady", "Steady");
}

/** Null while it is not known what is usual. */
const psiOf = ({ measures }) => measures.psi ?? null;

function featureView(stream, feature, signal) {
  const path = `/v1/drift/features/${encodeURIComponent(stream)}/${encodeURIComponent(feature)}`;
  const show = ({ windows }) => (windows.length ? profile(windows) : empty("No window of it is known."));
  const back = h("p", null, h("a", { href: "#/features" }, "All features"));
  return { title: feature, nodes: [back, resource({ load: () => get(pathOf(path, { windows: WINDOWS }), signal), show, signal })] };
}

function profile(windows) {
  const last = windows.at(-1);
  const { histogram: shares } = last;
  return [
    card("The last window", {}, h("p", { class: "badges" }, stateOf(last)), lastWindow(last)),
    card("Now, and as usual", {}, shares ? histogram("Shares of the values", shares.cells, shares.current, shares.reference) : empty("Too little is known of its values yet.")),
    shares && card("Shares over time", {}, sharesOverTime(windows)),
    h("div", { class: "grid" },
      card("Shift over time", {}, psiChart(windows)),
      card("Missing values over time", {}, missingChart(windows))),
  ];
}

function lastWindow(last) {
  const measures = [["PSI", "psi"], ["Jensen–Shannon", "js"], ["Kolmogorov–Smirnov", "ks"], ["Wasserstein", "wasserstein"], ["Chi-square", "chi_square"]];
  return facts([
    ["Stream", last.stream],
    ["Began", when(last.window_start_ms)],
    ["Long", duration(last.window_ms)],
    ["Records", count(last.records)],
    ["Missing", share(last.missing)],
    ...measures.map(([name, key]) => [name, key in last.measures ? number(last.measures[key]) : null]),
  ]);
}

function sharesOverTime(windows) {
  const { cells } = windows.at(-1).histogram;
  const isSame = (other) => other?.cells.length === cells.length && other.cells.every((cell, index) => cell === cells[index]);
  return heat({
    title: "Share of each value, window by window",
    summary: `${count(windows.length)} windows; the table below says every share.`,
    cells,
    times: windows.map((window) => window.window_start_ms),
    shares: windows.map(({ histogram: shares }) => (isSame(shares) ? shares.current : null)),
    timeText: weekdayClock,
  });
}

function psiChart(windows) {
  const values = windows.map(psiOf);
  return timeChart({
    title: "Population stability index",
    summary: `Lately ${number(values.at(-1))}; from ${number(PSI_LARGE)} on it is large.`,
    times: windows.map((window) => window.window_start_ms),
    series: [{ name: "PSI", className: "first", values }, { name: "large", className: "second", values: windows.map(() => PSI_LARGE) }],
    text: number,
    timeText: shortClock(windows),
  });
}

function missingChart(windows) {
  return timeChart({
    title: "Share of records without a value",
    summary: `Lately ${share(windows.at(-1).missing)}.`,
    times: windows.map((window) => window.window_start_ms),
    series: [
      { name: "missing", className: "first", values: windows.map(({ missing }) => missing) },
      { name: "expected", className: "second", values: windows.map((window) => window.missing_expected) },
    ],
    text: share,
    timeText: shortClock(windows),
  });
}

/** The day belongs to a time once the windows reach over more than a week. */
const shortClock = (windows) => (windows.at(-1).window_start_ms - windows[0].window_start_ms > 6 * 86_400_000 ? shortDateTime : weekdayClock);
