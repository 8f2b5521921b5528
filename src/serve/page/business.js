// What the shop takes, minute by minute: all of it, one channel or one store.

import { get, pathOf } from "/api.js";
import { timeChart } from "/chart-time.js";
import { h, swap } from "/dom.js";
import { clock, count, money, moneys, share, shortMoney } from "/format.js";
import { card, choice, disclosure, empty, figure, table, tile, tiles, when } from "/parts.js";
import { resource } from "/resource.js";

const SPANS = [["60", "The last hour"], ["180", "The last 3 hours"], ["720", "The last 12 hours"]];

export function businessView({ query, signal }) {
  const chosen = { minutes: query.get("minutes") ?? "60", channel: query.get("channel"), store_id: query.get("store_id") };
  const filters = h("div", { class: "filters" });
  const load = () => get(pathOf("/v1/business/minutes", chosen), signal);
  const show = (answer) => {
    swap(filters, choices(chosen, answer));
    return answer.minutes.length ? business(answer.minutes) : empty("Nothing that is known of happened there in this time.");
  };
  return { title: "Business", nodes: [filters, resource({ load, show, wakes: ["minute"], signal })] };
}

function choices(chosen, { channels = [], stores = [] }) {
  const go = (changed) => {
    location.hash = pathOf("#/business", { ...chosen, ...changed });
  };
  const places = [["", "The whole shop"], ...channels.map((name) => [`channel ${name}`, `Channel ${name}`]), ...stores.map((id) => [`store_id ${id}`, `Store ${id}`])];
  const field = ["store_id", "channel"].find((name) => chosen[name]);
  const place = field ? `${field} ${chosen[field]}` : "";
  const choose = (value) => {
    const [, kind, name] = /^(\w+) (.*)$/.exec(value) ?? [];
    go({ channel: null, store_id: null, ...(kind && { [kind]: name }) });
  };
  return [choice("Where", places, place, choose), choice("When", SPANS, chosen.minutes, (minutes) => go({ minutes }))];
}

function business(minutes) {
  const byCurrency = addedUp(minutes.map((minute) => minute.revenue_minor));
  const currencies = Object.entries(byCurrency).sort(([, a], [, b]) => b - a).map(([currency]) => currency);
  return [
    card("In all", { wide: true }, totals(minutes, byCurrency)),
    h("div", { class: "grid" },
      currencies.map((currency) => card(`Revenue in ${currency}`, {}, revenueChart(minutes, currency))),
      card("Visitors and baskets", {}, trafficChart(minutes)),
      card("Conversion and carts left", {}, ratesChart(minutes))),
    card("Minute by minute", { wide: true }, disclosure("minutes", `All ${count(minutes.length)} minutes`, minuteTable(minutes))),
  ];
}

export const summed = (records, name) => records.reduce((sum, record) => sum + (record[name] ?? 0), 0);

function totals(minutes, byCurrency) {
  const of = (name) => summed(minutes, name);
  const ratio = (part, whole) => share(of(whole) ? of(part) / of(whole) : null);
  return tiles(
    tile("Revenue", moneys(byCurrency)),
    tile("Paid back", moneys(addedUp(minutes.map((minute) => minute.refunded_minor)))),
    tile("Baskets", figure("business-baskets", of("baskets")), ` of ${count(of("items"))} items`),
    tile("Sessions that ended", count(of("ended"))),
    tile("Conversion", ratio("purchased", "ended")),
    tile("Carts left", ratio("abandoned", "carted")),
    tile("Refunds per basket", ratio("refunds", "baskets")),
    tile("Clicks on recommendations", ratio("recommended_clicked", "recommended")));
}

/** Amounts of several records, by currency. */
export function addedUp(records) {
  const sums = {};
  for (const record of records) {
    for (const [currency, minor] of Object.entries(record ?? {})) sums[currency] = (sums[currency] ?? 0) + minor;
  }
  return sums;
}

/** What came in per minute, in one currency. */
export function revenueChart(minutes, currency) {
  const values = minutes.map((minute) => minute.revenue_minor[currency] ?? 0);
  return timeChart({
    title: `Revenue per minute, ${currency}`,
    summary: `Between ${money(Math.min(...values), currency)} and ${money(Math.max(...values), currency)} a minute.`,
    times: minutes.map((minute) => minute.minute_ms),
    series: [{ name: currency, className: "money", values }],
    text: (value) => money(value, currency),
    axisText: (value) => shortMoney(value, currency),
    timeText: clock,
    isStacked: true,
  });
}

function trafficChart(minutes) {
  const of = (name) => minutes.map((minute) => minute[name]);
  return timeChart({
    title: "Visitors and baskets per minute",
    summary: `${count(summed(minutes, "baskets"))} baskets were paid.`,
    times: of("minute_ms"),
    series: [{ name: "visitors", className: "first", values: of("visitors") }, { name: "baskets", className: "second", values: of("baskets") }],
    text: count,
    timeText: clock,
  });
}

function ratesChart(minutes) {
  const of = (name) => minutes.map((minute) => minute[name]);
  return timeChart({
    title: "Shares of the sessions that ended, and of their carts",
    summary: `Of ${count(summed(minutes, "ended"))} sessions ${count(summed(minutes, "purchased"))} bought.`,
    times: of("minute_ms"),
    series: [{ name: "conversion", className: "first", values: of("conversion") }, { name: "carts left", className: "second", values: of("abandonment") }],
    text: share,
    timeText: clock,
  });
}

function minuteTable(minutes) {
  const numeric = (name, key) => ({ name, isNumber: true, cell: (minute) => count(minute[key]) });
  const columns = [
    { name: "Minute", isHead: true, cell: (minute) => when(minute.minute_ms, clock) },
    numeric("Visitors", "visitors"), numeric("Ended", "ended"), numeric("Viewed", "viewed"), numeric("Cart", "carted"),
    numeric("Checkout", "checked_out"), numeric("Bought", "purchased"), numeric("Baskets", "baskets"), numeric("Refunds", "refunds"),
    { name: "Revenue", isNumber: true, cell: (minute) => moneys(minute.revenue_minor) },
  ];
  return table("The newest first", columns, minutes.toReversed());
}
