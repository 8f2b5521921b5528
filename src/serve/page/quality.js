// How good the scores were, day by day, by the labels that have come, and how good they are expected to be before.

import { get, pathOf } from "/api.js";
import { timeChart } from "/chart-time.js";
import { h } from "/dom.js";
import { count, fraction, moneys, share, utcDay, utcDayMonth } from "/format.js";
import { card, choice, empty, table, when } from "/parts.js";
import { resource } from "/resource.js";

const DAYS = 60;
const EXPECTED = "From all scores of a day, and how often scores like them turned out to be positive; that they mean what they meant is assumed. Once all labels have come, what they say stands beside what was expected of the scores that have one.";

export function qualityView({ query, signal }) {
  const wanted = query.get("score");
  const load = async () => {
    const of = (path) => get(pathOf(path, { days: DAYS }), signal);
    const [known, expected] = await Promise.all([of("/v1/quality"), of("/v1/quality/expected")]);
    return { ...known, expected: expected.days };
  };
  const show = ({ days, expected }) => (days.length || expected.length ? quality(days, expected, wanted) : empty("No label has come yet, so no score is judged."));
  return { title: "Quality", nodes: [resource({ load, show, wakes: ["quality"], signal })] };
}

function quality(known, expected, wanted) {
  const scores = [...new Set([...known, ...expected].map(({ score }) => score))].sort();
  const score = scores.includes(wanted) ? wanted : scores[0];
  const ofScore = (days) => days.filter((day) => day.score === score);
  const choose = (value) => {
    location.hash = `#/quality?score=${encodeURIComponent(value)}`;
  };
  const [days, outlook] = [ofScore(known), ofScore(expected)];
  return [
    h("div", { class: "filters" }, choice("Score", scores.map((name) => [name, name]), score, choose)),
    days.length ? measured(days) : empty("No label of this score has come yet."),
    outlook.length ? card("Expected, while labels are missing", { wide: true, note: EXPECTED }, expectedChart(outlook), expectedTable(outlook)) : null,
  ];
}

function measured(days) {
  const lines = (title, summary, series, text) => timeChart({ title, summary, series, text, times: days.map(({ day_ms: day }) => day), timeText: utcDayMonth });
  const of = (key) => days.map((day) => day[key]);
  const last = days.at(-1);
  return [
    h("div", { class: "grid" },
      card("Ranking", { note: `The area under precision over recall, and the share of frauds among the ${count(last.k)} highest scores of a day.` },
        lines("Average precision and precision among the highest", `On the last day ${fraction(last.average_precision)} and ${fraction(last.precision_at_k)}.`,
          [{ name: "average precision", className: "first", values: of("average_precision") }, { name: `precision at ${count(last.k)}`, className: "second", values: of("precision_at_k") }], fraction)),
      card("Calibration", { note: "How far scores are from the share of frauds among those that have them; less is better." },
        lines("Calibration error", `On the last day ${fraction(last.calibration_error)}.`, [{ name: "calibration error", className: "third", values: of("calibration_error") }], fraction))),
    card("Day by day", { wide: true }, dayTable(days)),
  ];
}

function dayTable(days) {
  const numeric = (name, key, text) => ({ name, isNumber: true, cell: (day) => text(day[key]) });
  const columns = [
    { name: "Day (UTC)", isHead: true, cell: (day) => when(day.day_ms, utcDay) },
    numeric("Labelled", "labelled", count),
    numeric("Frauds", "frauds", count),
    { name: "Rate", isNumber: true, cell: (day) => share(day.frauds / day.labelled) },
    numeric("Average precision", "average_precision", fraction),
    numeric("Precision at k", "precision_at_k", fraction),
    numeric("Calibration error", "calibration_error", fraction),
    numeric("Frauds let pass", "missed_minor", moneys),
    numeric("Frauds stopped", "stopped_minor", moneys),
    { name: "State", cell: (day) => (day.is_final ? "final" : "labels may come") },
  ];
  return table("The newest first", columns, days.toReversed());
}

const figureOf = (name) => (day) => day.figures[name];
const ranking = figureOf("average_precision");
const rate = figureOf("positive_rate");

function expectedChart(days) {
  const of = (value) => days.map((day) => (ranking(day) ? value(ranking(day)) : null));
  const last = ranking(days.at(-1));
  const series = [
    { name: "expected", className: "first", values: of(({ expected }) => expected) },
    { name: "one error more", className: "second", values: of(({ expected, error }) => Math.min(1, expected + error)) },
    { name: "one error less", className: "third", values: of(({ expected, error }) => Math.max(0, expected - error)) },
  ];
  return timeChart({
    title: "Expected average precision", summary: last ? `On the last day ${withError(last, fraction)}.` : "Of the last day nothing is expected.",
    series, text: fraction, times: days.map(({ day_ms: day }) => day), timeText: utcDayMonth,
  });
}

const withError = ({ expected, error }, text) => `${text(expected)} ± ${text(error)}`;

function expectedTable(days) {
  const expectation = (name, of, text) => ({ name, isNumber: true, cell: (day) => (of(day) ? withError(of(day), text) : "–") });
  const came = ({ of_labelled: labelled }, text) => (labelled ? `${text(labelled.measured)}, expected ${text(labelled.expected)}` : "–");
  const columns = [
    { name: "Day (UTC)", isHead: true, cell: (day) => when(day.day_ms, utcDay) },
    { name: "Scores", isNumber: true, cell: (day) => count(day.scored) },
    { name: "Labelled", isNumber: true, cell: (day) => count(day.labelled) },
    expectation("Rate of positives", rate, share),
    expectation("Average precision", ranking, fraction),
    expectation("Precision at k", figureOf("precision_at_k"), fraction),
    { name: "Ranking of the labelled", isNumber: true, cell: (day) => (ranking(day) ? came(ranking(day), fraction) : "–") },
    { name: "State", cell: (day) => (day.is_final ? "final" : "labels may come") },
  ];
  return table("The newest first", columns, days.toReversed());
}
