// The decisions about payments as they are made, and one of them with everything that led to it.

import { get } from "/api.js";
import { h, swap } from "/dom.js";
import { capital, clockSeconds, count, duration, fraction, money, number, share, shortId, words } from "/format.js";
import { badge, card, choice, copyButton, disclosure, empty, entity, facts, meter, table, when } from "/parts.js";
import { resource } from "/resource.js";
import { news } from "/stream.js";

const SNAPSHOT = 50;
// of a shop with 200 payments a second the last two seconds and a half, of most the last minutes
const KEPT = 500;
const SHOWN = 50;
// as fast as eyes follow
const REDRAW_MS = 1_000;
const DECISIONS = ["approve", "review", "step_up", "decline"];

export function decisionsView({ rest: [decisionId], query, signal }) {
  if (decisionId) return decisionView(decisionId, signal);
  const wanted = query.get("decision") ?? "";
  const recent = recentDecisions(signal, wanted);
  const options = [["", "Every decision"], ...DECISIONS.map((name) => [name, capital(words(name))])];
  const filter = choice("Decision", options, wanted, (value) => {
    location.hash = value ? `#/decisions?decision=${value}` : "#/decisions";
  });
  return { title: "Decisions", nodes: [h("div", { class: "filters" }, filter, recent.pause), card("As they are made", {}, recent.element)] };
}

/** The last decisions: those known at first, and those that the stream tells. */
function recentDecisions(signal, wanted) {
  const known = new Map();
  let isPaused = false;
  let timer = null;
  const list = h("div", { class: "resource" });

  const add = (record) => {
    known.set(record.decision_id, record);
    if (known.size > KEPT) known.delete(known.keys().next().value);
  };
  const draw = () => {
    timer = null;
    const fitting = [...known.values()].filter(({ decision }) => !wanted || decision === wanted);
    const newest = fitting.sort((a, b) => b.event_time_ms - a.event_time_ms).slice(0, SHOWN);
    swap(list, newest.length ? decisionTable(newest, known.size) : empty("No such decision is among the last."));
  };
  const redraw = () => {
    if (!isPaused) timer ??= setTimeout(draw, REDRAW_MS);
  };
  news.addEventListener("decision", ({ detail }) => { add(detail); redraw(); }, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));

  const pause = h("button", { type: "button", "aria-pressed": "false", click: () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    redraw();
  } }, "Pause");
  const show = ({ decisions }) => {
    decisions.toReversed().forEach(add);
    if (!isPaused) draw();
    return list;
  };
  return { pause, element: resource({ load: () => get(`/v1/decisions/recent?limit=${SNAPSHOT}`, signal), show, signal }) };
}

function decisionTable(records, among) {
  const columns = [
    { name: "Time", isHead: true, cell: (record) => linkTo(record, clockSeconds) },
    { name: "Decision", cell: (record) => badge(record.decision) },
    { name: "Score", isNumber: true, cell: (record) => fraction(record.score) },
    { name: "Amount", isNumber: true, cell: (record) => money(record.amount_minor, record.currency) },
    { name: "Reasons", cell: reasonsInShort },
  ];
  return table(`The newest ${count(records.length)} of the last ${count(among)} decisions`, columns, records);
}

function linkTo({ decision_id: id, event_time_ms: at }, timeText) {
  return h("a", { href: `#/decisions/${id}`, "data-keep": id }, when(at, timeText));
}

function reasonsInShort({ reasons, model, currency }) {
  const [first] = reasons;
  if (!first) return h("span", { class: "quiet" }, model?.is_live && model.contribution > 0 ? "the model alone" : "no rule fired");
  const more = reasons.length > 1 ? `, and ${count(reasons.length - 1)} more` : "";
  return [h("b", null, first.code || first.rule), h("span", { class: "quiet" }, ` ${inputsText(first, currency)}${more}`)];
}

/** What a rule or the model read: name, value, and the window it looks back over. */
function inputsText({ inputs, windows_ms: windows }, currency) {
  return Object.entries(inputs).map(([name, value]) => {
    const window = windows[name] ? ` over ${duration(windows[name])}` : "";
    return `${name} = ${inputText(name, value, currency)}${window}`;
  }).join(", ");
}

function inputText(name, value, currency) {
  if (value === null) return "none";
  if (typeof value === "string") return value;
  return name === "amount_minor" && currency ? money(value, currency) : number(value);
}

function decisionView(decisionId, signal) {
  const load = () => get(`/v1/decisions/${encodeURIComponent(decisionId)}`, signal);
  const back = h("p", null, h("a", { href: "#/decisions" }, "Recent decisions"));
  return { title: `Decision ${shortId(decisionId)}`, nodes: [back, resource({ load, show: whole, signal })] };
}

function whole({ decision_id: id, score, label, history }) {
  return [
    score ? [overview(score, label, id), why(score), modelCard(score), leftOut(score)] : card("What was decided", {}, empty("The score itself is not known any longer.")),
    card("Decided before about the same", {}, earlier(history)),
  ];
}

function overview(score, label, id) {
  return card("What was decided", {},
    h("p", { class: "badges" }, badge(score.decision), label && badge(label.outcome, `It was: ${words(label.outcome)}`)),
    facts([
      ["Attempted", when(score.event_time_ms)],
      ["Amount", money(score.amount_minor, score.currency)],
      ["Score", fraction(score.score)],
      ["Label known", label && when(label.known_at_ms)],
      ["Rules", `version ${count(score.rules_version)}`],
      ["About", Object.entries(score.entities).map(([kind, entityId]) => h("div", null, entity(kind, entityId)))],
    ]),
    h("p", null, copyButton(id, "decision id")));
}

function why({ reasons, currency }) {
  const columns = [
    { name: "Rule", isHead: true, cell: (reason) => [reason.rule, h("div", { class: "quiet" }, reason.code)] },
    { name: "What it read", cell: (reason) => inputsText(reason, currency) },
    { name: "Weight", isNumber: true, cell: (reason) => number(reason.weight) },
    { name: "Contribution", cell: (reason) => [share(reason.contribution), meter(reason.contribution)] },
  ];
  return card("Why", {}, reasons.length ? table("Rules that fired, the largest contribution first", columns, reasons) : empty("No rule fired."));
}

function modelCard({ model, currency }) {
  if (!model) return card("Model", {}, empty("No model had a say."));
  const factors = model.factors.map((factor) => h("li", null, `${inputsText(factor, currency)}: ${number(factor.log_odds)} on the log odds`));
  return card("Model", {},
    facts([
      ["Name", `${model.name}, version ${count(model.version)}`],
      ["It says", fraction(model.score)],
      ["State", model.is_live ? "live" : "in shadow"],
      ["Contribution", share(model.contribution)],
    ]),
    factors.length > 0 && [h("p", null, "What raises its score most:"), h("ul", { class: "bullets" }, factors)]);
}

/** What did not count: rules in shadow, rules that could not be evaluated, parts that did not come. */
function leftOut({ shadow, not_evaluated: skipped, missing_parts: missing }) {
  const entries = [
    ...missing.map((kind) => `The part of the ${kind} had not come in time.`),
    ...shadow.map((rule) => `The rule ${rule} would have fired; it is in shadow.`),
    ...skipped.map(({ rule, because }) => `The rule ${rule} could not be evaluated: ${because.join(", ")}.`),
  ];
  const list = h("ul", { class: "bullets" }, entries.map((text) => h("li", null, text)));
  return entries.length > 0 && card("What did not count", {}, disclosure("left out", `Rules and parts (${count(entries.length)})`, list));
}

function earlier(history) {
  const all = Object.entries(history).flatMap(([kind, records]) => records.map((record) => ({ kind, ...record })));
  if (!all.length) return empty("Nothing that is known.");
  const columns = [
    { name: "Time", isHead: true, cell: (record) => linkTo(record) },
    { name: "Same", cell: (record) => record.kind },
    { name: "Decision", cell: (record) => badge(record.decision) },
    { name: "Score", isNumber: true, cell: (record) => fraction(record.score) },
    { name: "It was", cell: (record) => (record.outcome ? badge(record.outcome) : "not known yet") },
  ];
  return table("The newest first, for each kind of entity", columns, all);
}
