// How good the scores were, day by day, by the labels that have come.

import { get, pathOf } from "/api.js";
import { timeChart } from "/chart-time.js";
import { h } from "/dom.js";
import { count, fraction, moneys, share, utcDay, utcDayMonth } from "/format.js";
import { card, choice, empty, table, when } from "/parts.js";
import { resource } from "/resource.js";

const DAYS = 60;

export function qualityView({ query, signal }) {
  const wanted = query.get("score");
  const show = ({ days }) => (days.length ? quality(days, wanted) : empty("No label has come yet, so no score is judged."));
  return { title: "Quality", nodes: [resource({ load: () => get(pathOf("/v1/quality", { days: DAYS }), signal), show, wakes: ["quality"], signal })] };
}

function quality(all, wanted) {
  const scores = [...new Set(all.map(({ score }) => score))].sort();
  const score = scores.includes(wanted) ? wanted : scores[0];
  const days = all.filter((day) => day.score === score);
  const choose = (value) => {
    location.hash = `#/quality?score=${encodeURIComponent(value)}`;
  };
  const lines = (title, summary, series, text) => timeChart({ title, summary, series, text, times: days.map(({ day_ms: day }) => day), timeText: utcDayMonth });
  const of = (key) => days.map((day) => day[key]);
  const last = days.at(-1);
  return [
    h("div", { class: "filters" }, choice("Score", scores.map((name) => [name, name]), score, choose)),
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
