// Whether what is shown is live, and how far it is behind. Also tells those who listen rather than look of new alerts.

import { answers } from "/api.js";
import { h, swap } from "/dom.js";
import { count, duration, withoutIds } from "/format.js";
import { news, streamState } from "/stream.js";

// as many as the engine itself takes for being ready, and as old
const BEHIND_RECORDS = 1_000;
const BEHIND_MS = 15_000;

let lag = { records: null, known_ms_ago: null };

/** How far the view of the engine is behind: `{ records, known_ms_ago }`. */
export const currentLag = () => lag;

/** Whether what is shown is not what is. */
export const isBehind = ({ records, known_ms_ago: age }) => records === null || records > BEHIND_RECORDS || age > BEHIND_MS;

/** In a sentence. */
export function lagText({ records, known_ms_ago: age }) {
  if (records === null) return "It is not known how much the view has not read yet.";
  const known = age === null ? "" : `, as was known ${age < 1_000 ? "just now" : `${duration(age)} ago`}`;
  return records === 0 ? `Everything published has been read${known}.` : `${count(records)} published records have not been read${known}.`;
}

/** Shows the state of the stream and the lag in `element`. */
export function showConnection(element) {
  const show = () => {
    const [name, text] = stateText();
    element.dataset.state = name;
    swap(element, h("span", { class: "dot", "aria-hidden": "true" }), h("span", { title: lagText(lag) }, text));
  };
  news.addEventListener("state", show);
  answers.addEventListener("lag", ({ detail }) => {
    lag = detail;
    show();
  });
  show();
}

function stateText() {
  const { name } = streamState();
  if (name === "reconnecting") return [name, "Reconnecting"];
  if (name === "connecting") return [name, "Connecting"];
  if (name !== "live") return ["polling", "No stream: refreshed now and then"];
  if (lag.records === null) return ["live", "Live"];
  return isBehind(lag) ? ["behind", `Live, ${count(lag.records)} behind`] : ["live", "Live"];
}

/** Says each new open alert once, politely. */
export function announceAlerts(element) {
  const told = new Set();
  news.addEventListener("alert", ({ detail: alert }) => {
    if (alert.status !== "open" || alert.revision > 1 || told.has(alert.alert_id)) return;
    told.add(alert.alert_id);
    element.textContent = `New alert, ${alert.severity}: ${withoutIds(alert, alert.title)}`;
  });
}
