// One alert: all that whoever is woken needs to know, and what they may say of it.

import { alertActions } from "/alert-actions.js";
import { segmentText, stateOf } from "/alerts.js";
import { get } from "/api.js";
import { histogram } from "/chart-share.js";
import { h, swap } from "/dom.js";
import { count, counted, duration, moneys, number, share, withShortIds, withoutIds, words } from "/format.js";
import { badge, card, copyButton, disclosure, facts, when } from "/parts.js";
import { resource } from "/resource.js";
import { runbookEntry } from "/runbook.js";

// the largest are shown at once, the rest on demand
const FINDINGS_SHOWN = 2;
// what moved in these is a share of the values
const SHARES = new Set(["missing", "non_finite", "new_categories", "rate"]);

export function alertView(alertId, signal) {
  const path = `/v1/alerts/${encodeURIComponent(alertId)}`;
  const actions = alertActions(path);
  const details = h("div", { class: "resource" });
  const aside = h("div", { class: "aside", hidden: true }, actions.element);
  let todo = null;
  const show = ({ alert }) => {
    actions.update(alert);
    aside.hidden = false;
    todo ??= card("What to do", {}, runbookEntry(alert.runbook));
    swap(details, evidence(alert, todo));
    return card(withoutIds(alert, alert.title), {}, headline(alert), overview(alert));
  };
  const head = resource({ load: () => get(path, signal), show, wakes: ["alert"], signal });
  const back = h("p", null, h("a", { href: "#/alerts" }, "All alerts"));
  return { title: "Alert", nodes: [back, h("div", { class: "split" }, head, aside, details)] };
}

function evidence(alert, todo) {
  return [
    card("What moved", { note: findingsNote(alert) }, findings(alert.findings)),
    card("Why, perhaps", {}, causes(alert.causes)),
    (alert.read_by.length || alert.kind === "data_drift") && card("Who reads it", {}, readers(alert.read_by)),
    card("Look closer", {}, command(alert)),
    todo,
  ];
}

function headline(alert) {
  const kind = h("span", { class: "quiet" }, words(alert.kind));
  return h("p", { class: "badges" }, badge(alert.severity), kind, segmentText(alert.segment), h("span", { class: "quiet" }, stateOf(alert)));
}

function overview(alert) {
  const note = alert.acknowledged?.note;
  return facts([
    ["Began", when(alert.since_ms)],
    ["Noticed", [when(alert.detected_ms), `, ${duration(Math.max(0, alert.detected_ms - alert.since_ms))} later`]],
    ["As of", [when(alert.as_of_ms), `, revision ${count(alert.revision)}`]],
    ["Ended", alert.resolved_ms && [when(alert.resolved_ms), `, ${words(alert.resolution ?? "resolved")}`]],
    ["About", withoutIds(alert, alert.subject)],
    ["Concerns", `${share(alert.share)} of the traffic`],
    ["Decisions", count(alert.decisions)],
    ["Money", moneys(alert.money_minor)],
    ["Taken on", alert.acknowledged && when(alert.acknowledged.at_ms)],
    ["Note", note ? withShortIds(note) : null],
  ]);
}

function findingsNote({ findings: shown, findings_total: all }) {
  return all > shown.length ? `The ${count(shown.length)} largest of ${count(all)} findings.` : `${counted(all, "finding")}, the largest first.`;
}

function findings(all) {
  const rest = all.slice(FINDINGS_SHOWN);
  return [all.slice(0, FINDINGS_SHOWN).map(finding), rest.length > 0 && disclosure("findings", counted(rest.length, "more finding"), rest.map(finding))];
}

function finding(found) {
  const [from, to] = [found.from, found.to].map((value) => valueOf(found, value));
  const title = `${found.feature}: ${words(found.what)}${found.category === null ? "" : ` of ${found.category || "(empty)"}`}`;
  return h("div", { class: "moved" },
    h("h3", null, withShortIds(title)),
    h("p", { class: "from-to" }, from, h("span", { class: "quiet" }, "became"), to),
    h("p", { class: "quiet" },
      "since ", when(found.since_ms), `, in ${counted(found.count, "value")} against ${count(found.reference_count)} of the reference`, segmentText(found.segment)),
    facts([
      ["Effect", number(found.effect)],
      ["Evidence", `${number(found.statistic)} (a finding from ${number(found.threshold)})`],
      ...Object.entries(found.measures).map(([name, value]) => [words(name), number(value)]),
    ]),
    found.histogram && histogram(`${found.feature}, now and in the reference`, found.histogram.cells, found.histogram.current, found.histogram.reference));
}

/** Of a unit it is a factor, of a name its share, of all else a value in the feature's own unit. */
function valueOf({ what, category }, value) {
  if (what === "unit") return `× ${number(value)}`;
  return SHARES.has(what) || category !== null ? share(value) : number(value);
}

function causes(all) {
  if (!all.length) return h("p", { class: "quiet" }, "Nothing is known to have changed upstream shortly before.");
  return h("ul", { class: "bullets" }, all.map(({ kind, what, at_ms: at }) => h("li", null, `${words(kind)}: ${withShortIds(what)}, `, when(at))));
}

function readers(all) {
  if (!all.length) return h("p", { class: "quiet" }, "No rule and no model that is known reads it.");
  return h("ul", { class: "bullets" }, all.map((name) => h("li", null, name)));
}

function command(alert) {
  const shown = withoutIds(alert, alert.command);
  const note = shown === alert.command ? "This shows the records:" : "This shows the records; ids are in short here, and whole in what is copied:";
  return h("div", { class: "command" }, h("p", null, note), h("pre", null, h("code", null, shown)), copyButton(alert.command, "command"));
}
