// Alerts as a list: the open ones first, then those that ended.

import { alertView } from "/alert.js";
import { get, pathOf } from "/api.js";
import { changesCard } from "/changes.js";
import { h } from "/dom.js";
import { counted, duration, moneys, share, withShortIds, withoutIds, words } from "/format.js";
import { badge, choice, empty, figure, when } from "/parts.js";
import { resource } from "/resource.js";

const SEVERITIES = ["page", "ticket", "info"];
const KINDS = ["data_drift", "concept_drift", "volume", "fraud_pattern", "business"];
const STATUSES = [["open", "Open"], ["resolved", "Ended"], ["all", "All"]];

export function alertsView({ rest: [alertId], query, signal }) {
  if (alertId) return alertView(alertId, signal);
  const status = STATUSES.some(([known]) => known === query.get("status")) ? query.get("status") : "all";
  const kind = query.get("kind") ?? "";
  const go = (changed) => {
    location.hash = pathOf("#/alerts", { status, kind, ...changed });
  };
  const kinds = [["", "Every kind"], ...KINDS.map((name) => [name, words(name)])];
  const list = resource({
    load: () => fetchAlerts(status, signal),
    show: ({ alerts }) => alertList(alerts.filter((alert) => !kind || alert.kind === kind)),
    wakes: ["alert"],
    signal,
  });
  const filters = h("div", { class: "filters" },
    choice("Status", STATUSES, status, (value) => go({ status: value })),
    choice("Kind", kinds, kind, (value) => go({ kind: value })));
  return { title: "Alerts", nodes: [filters, list, changesCard(signal)] };
}

/** Alerts of a status, as many as the API gives at once. */
export const fetchAlerts = (status, signal) => get(pathOf("/v1/alerts", { status, limit: 500 }), signal);

/** What is open now, for the section Now. */
export function openAlerts(signal) {
  return resource({
    load: () => fetchAlerts("open", signal),
    show: ({ alerts }) => [
      h("p", { class: "quiet" }, figure("open-alerts", alerts.length), alerts.length === 1 ? " alert is open." : " alerts are open."),
      alerts.length ? alertList(alerts) : empty("No alert is open. What comes in looks as it does at this hour of the week."),
    ],
    wakes: ["alert"],
    signal,
  });
}

function alertList(alerts) {
  if (!alerts.length) return empty("No alert is like that.");
  return h("ul", { class: "alerts" }, [...alerts].sort(byUrgency).map(alertLine));
}

/** Open before ended, then by severity, then the newest first. */
function byUrgency(a, b) {
  const rank = (alert) => (alert.status === "open" ? SEVERITIES.indexOf(alert.severity) : SEVERITIES.length);
  return rank(a) - rank(b) || b.detected_ms - a.detected_ms;
}

function alertLine(alert) {
  const link = h("a", { href: `#/alerts/${alert.alert_id}`, "data-keep": alert.alert_id }, withoutIds(alert, alert.title));
  return h("li", { class: `alert ${alert.status} ${alert.severity}` },
    h("p", { class: "badges" }, badge(alert.severity), h("span", { class: "quiet" }, words(alert.kind)), segmentText(alert.segment)),
    h("p", { class: "title" }, link),
    h("p", { class: "quiet" }, spanOf(alert), " · ", counted(alert.decisions, "decision"), " · ", moneys(alert.money_minor)),
    h("p", { class: "quiet" }, stateOf(alert)));
}

/** When it began, and for how long it has gone on or went on, by event time. */
function spanOf(alert) {
  const end = alert.resolved_ms ?? alert.as_of_ms;
  const lasted = duration(Math.max(0, end - alert.since_ms));
  return ["since ", when(alert.since_ms), alert.status === "open" ? `, for ${lasted}` : `, ended after ${lasted}`];
}

/** Who has taken it on, until when it is muted, how it ended. */
export function stateOf(alert) {
  const states = [];
  if (alert.status === "resolved") states.push([`Ended: ${words(alert.resolution ?? "resolved")} `, when(alert.resolved_ms)]);
  if (alert.acknowledged) states.push(h("span", { "data-figure": "acknowledged-by" }, `Acknowledged by ${alert.acknowledged.by}`));
  else if (alert.status === "open") states.push(h("strong", null, "Nobody has acknowledged it"));
  if (alert.muted_until_ms) states.push(["Muted until ", when(alert.muted_until_ms)]);
  return states.flatMap((state, index) => (index ? [" · ", state] : [state]));
}

/** Where it is largest. */
export function segmentText(segment) {
  return segment && h("span", { class: "quiet" }, ` in ${words(segment.dimension)} ${withShortIds(segment.value)} (${share(segment.share_of_change)} of the change)`);
}
