// A visitor who is looked up by id. The id stays in this module: neither the address nor the page shows it.

import { get } from "/api.js";
import { freshId, h, swap } from "/dom.js";
import { capital, count, counted, duration, moneys, number, share, words } from "/format.js";
import { badge, card, empty, facts, meter, table, when } from "/parts.js";
import { resource } from "/resource.js";

export function visitorView({ signal }) {
  const id = freshId("visitor");
  const results = h("div", { class: "resource" }, empty("Nobody is looked up."));
  const field = h("input", { id, required: true, maxlength: 128, autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-help` });
  let leaving = new AbortController();
  const submit = (event) => {
    event.preventDefault();
    const visitor = field.value.trim();
    field.value = "";
    if (!visitor) return;
    leaving.abort();
    leaving = new AbortController();
    swap(results, found(visitor, AbortSignal.any([signal, leaving.signal])));
    results.querySelector("h2").focus();
  };
  const form = h("form", { class: "filters", submit },
    h("div", { class: "field" }, h("label", { for: id }, "Visitor"), field),
    h("button", { type: "submit", class: "primary" }, "Look up"));
  const help = h("p", { id: `${id}-help`, class: "quiet" }, "The id as the visitor's clicks have it. It is not shown again, and no link holds it.");
  return { title: "Visitor", nodes: [form, help, results] };
}

function found(visitor, signal) {
  const part = (name, show) => resource({ load: () => get(`/v1/visitors/${encodeURIComponent(visitor)}/${name}`, signal), show, signal });
  const parts = h("div", { class: "grid" },
    card("Session", {}, part("session", session)),
    h("div", { class: "stack" },
      card("What it will come to", {}, part("intent", intent)),
      card("What to show", {}, part("recommendations", recommendations))));
  return [h("h2", { tabindex: "-1", class: "unseen" }, "The visitor who was looked up"), parts];
}

function session({ running, published, freshness_ms: age }) {
  return [
    running ? runningSession(running, age) : empty("No session runs."),
    published && [h("h3", null, "The session published last"), publishedSession(published)],
  ];
}

/** The furthest that a session has got. */
function stageOf({ purchases, checkouts, cart, item_views: looks }) {
  if (purchases) return "Bought";
  if (checkouts) return "At the checkout";
  if (Object.keys(cart).length) return "Something in the cart";
  return looks ? "Looked at items" : "Browsing";
}

function runningSession(running, age) {
  return facts([
    ["Stage", stageOf(running)],
    ["Newest event", [when(running.event_time_ms), `, ${duration(Math.max(0, age))} ago`]],
    ["For", duration(running.dwell_ms)],
    ["Events", `${count(running.events)}, of which ${counted(running.item_views, "look")} at items`],
    ["Searches", count(running.searches)],
    ["Cart", Object.entries(running.cart).map(([item, pieces]) => `${count(pieces)} × ${item}`).join(", ") || "empty"],
    ["Categories", byCount(running.categories)],
    ["Price level", running.price_level && priceText(running.price_level)],
    ["Last items", running.last_items.slice(0, 5).join(", ") || "none"],
  ]);
}

/** A session's prices have no currency, so they stay in minor units. */
function priceText({ mean_minor: mean, min_minor: least, max_minor: most }) {
  return `${number(mean)} minor units (from ${count(least)} to ${count(most)})`;
}

function publishedSession(published) {
  return facts([
    ["Outcome", badge(published.outcome)],
    ["Began", when(published.start_ms)],
    ["Lasted", duration(published.duration_ms)],
    ["Revenue", moneys(published.revenue_minor)],
    ["Campaign", published.campaign && Object.values(published.campaign).filter(Boolean).join(", ")],
    ["Revision", `${count(published.revision)}${published.is_final ? ", the last" : ", more may come"}`],
  ]);
}

const byCount = (counts) => Object.entries(counts).sort(([, a], [, b]) => b - a).map(([name, times]) => `${name} (${count(times)})`).join(", ") || "none";

function intent({ purchase, abandonment, learned_from: sessions, log_loss: loss, log_loss_of_rate: rateLoss }) {
  if (purchase === null) return empty("Too few sessions have ended to say anything.");
  const isWorth = loss < rateLoss;
  return [
    facts([
      ["It ends with a purchase, one more if there was one", [h("b", null, share(purchase)), meter(purchase)]],
      ["What is in the cart is left there", abandonment === null ? null : [h("b", null, share(abandonment)), meter(abandonment)]],
    ]),
    h("p", { class: isWorth ? "quiet" : "notice warn" },
      `Learned from ${counted(sessions, "session")}. Its loss is ${number(loss)}, that of the rate alone ${number(rateLoss)}: `,
      isWorth ? "it says more than the rate does." : "it is worth nothing at the moment."),
  ];
}

function recommendations({ items, based_on: basis }) {
  if (!items.length) return empty("There is nothing to recommend yet.");
  const columns = [
    { name: "Item", isHead: true, cell: (item) => item.item_id },
    { name: "Why", cell: (item) => reasonText(item.reason) },
    { name: "Score", isNumber: true, cell: (item) => number(item.score) },
  ];
  const caption = basis.length ? `The best first, made from ${counted(basis.length, "item")} of the session` : "The best first; of this visitor nothing is known";
  return table(caption, columns, items);
}

function reasonText({ kind, item_id: item, category }) {
  if (kind === "similar_sessions") return `Sessions with ${item} had it`;
  if (kind === "popular_in_category") return `Popular in ${category || "no category"}`;
  return capital(words(kind));
}
