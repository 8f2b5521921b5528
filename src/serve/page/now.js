// What happens in the shop now: open alerts on top, then the last hour.

import { openAlerts } from "/alerts.js";
import { answers, get } from "/api.js";
import { addedUp, revenueChart, summed } from "/business.js";
import { steps } from "/chart-share.js";
import { timeChart } from "/chart-time.js";
import { currentLag, isBehind, lagText } from "/connection.js";
import { h, swap } from "/dom.js";
import { capital, clock, count, duration, moneys, share, words } from "/format.js";
import { card, empty, figure, tile, tiles, when } from "/parts.js";
import { resource } from "/resource.js";

const MINUTES = 60;
const FUNNEL = [["ended", "Sessions that ended"], ["viewed", "Looked at an item"], ["carted", "Put one into the cart"], ["checked_out", "Began a checkout"], ["purchased", "Bought"]];
const STAGES = [["browsing", "Browsing"], ["viewed", "Looked at an item"], ["cart", "Something in the cart"], ["checkout", "At the checkout"], ["purchased", "Bought"]];
// the rarest and gravest at the bottom, where its height can be read
const DECISIONS = ["decline", "step_up", "review", "approve"];

export function nowView({ signal }) {
  const nodes = [
    card("Open alerts", { wide: true }, openAlerts(signal)),
    h("div", { class: "grid" },
      card("Funnel of the last 60 minutes", {}, ofMinutes(signal, funnel)),
      card("Live sessions", {}, liveSessions(signal)),
      card("Decisions per minute", { wide: true }, decisions(signal)),
      card("Revenue of the last 60 minutes", { wide: true }, ofMinutes(signal, revenue)),
      card("Lag", { wide: true }, lag(signal))),
  ];
  return { title: "Now", nodes };
}

function ofMinutes(signal, show) {
  const load = () => get(`/v1/business/minutes?minutes=${MINUTES}`, signal);
  return resource({ load, show: ({ minutes }) => (minutes.length ? show(minutes) : empty("Nothing happened in the last hour that is known of.")), wakes: ["minute"], signal });
}

function funnel(minutes) {
  const sums = FUNNEL.map(([name]) => summed(minutes, name));
  const note = (index) => {
    if (index === 0) return "";
    return sums[index - 1] ? `${share(sums[index] / sums[index - 1])} go on` : "";
  };
  const rows = FUNNEL.map(([key, name], index) => ({ name, figure: `funnel-${key}`, value: sums[index], note: note(index) }));
  return [steps(rows, sums[0]), h("p", { class: "quiet" }, `Until ${clock(minutes.at(-1).minute_ms + 60_000)}, by when sessions ended.`)];
}

function revenue(minutes) {
  const byCurrency = addedUp(minutes.map((minute) => minute.revenue_minor));
  const [currency] = Object.entries(byCurrency).sort(([, a], [, b]) => b - a)[0] ?? [];
  const figures = tiles(
    tile("Revenue", moneys(byCurrency)),
    tile("Paid baskets", figure("baskets", summed(minutes, "baskets"))),
    tile("Refunds", count(summed(minutes, "refunds"))));
  return [figures, currency && revenueChart(minutes, currency)];
}

function liveSessions(signal) {
  const show = ({ live, by_stage: byStage, as_of_ms: asOf }) => [
    tiles(tile("Sessions that run", figure("live-sessions", live))),
    live ? steps(STAGES.map(([key, name]) => ({ name, figure: `stage-${key}`, value: byStage[key] ?? 0 })), live) : empty("No session runs."),
    h("p", { class: "quiet" }, "The furthest that each has got, as of ", when(asOf, clock), "."),
  ];
  return resource({ load: () => get("/v1/sessions/live", signal), show, wakes: ["minute", "decision"], signal });
}

function decisions(signal) {
  const load = () => get(`/v1/decisions/minutes?minutes=${MINUTES}`, signal);
  return resource({ load, show: ({ minutes }) => decided(minutes.map(flat)), wakes: ["decision"], signal });
}

/** A minute with its counts beside its time. */
const flat = ({ minute_ms: minuteMs, decisions: counts }) => ({ minute_ms: minuteMs, ...counts });

function decided(minutes) {
  if (!minutes.length) return empty("Nothing was decided in the last hour that is known of.");
  const sums = Object.fromEntries(DECISIONS.map((name) => [name, summed(minutes, name)]));
  const all = DECISIONS.reduce((sum, name) => sum + sums[name], 0);
  const figures = DECISIONS.toReversed().map((name) => tile(capital(words(name)), figure(`decisions-${name}`, sums[name]), all ? ` ${share(sums[name] / all)}` : null));
  const chart = timeChart({
    title: "Decisions per minute",
    summary: `${count(all)} decisions in all, of which ${count(sums.decline)} declined.`,
    times: minutes.map((minute) => minute.minute_ms),
    series: DECISIONS.map((name) => ({ name: words(name), className: name, values: minutes.map((minute) => minute[name] ?? 0) })),
    text: count,
    timeText: clock,
    isStacked: true,
  });
  return [tiles(tile("Decisions", figure("decisions", all)), figures), chart];
}

function lag(signal) {
  const element = h("div", { class: "resource" });
  const show = () => {
    const known = currentLag();
    const { records, known_ms_ago: age } = known;
    swap(element,
      tiles(tile("Records not read yet", records === null ? "–" : figure("lag-records", records)), tile("Known", age === null ? "–" : `${duration(age)} ago`)),
      h("p", { class: isBehind(known) ? "notice warn" : "quiet" }, isBehind(known) ? `What is shown is stale. ${lagText(known)}` : lagText(known)));
  };
  answers.addEventListener("lag", show, { signal });
  show();
  return element;
}
