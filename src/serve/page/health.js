// How this instance stands: its roles, what it has counted, how far it is behind.

import { get } from "/api.js";
import { currentLag, isBehind, lagText } from "/connection.js";
import { freshId, h, swap } from "/dom.js";
import { exact, words } from "/format.js";
import { badge, card, disclosure, empty, table } from "/parts.js";
import { resource } from "/resource.js";

// what says whether every record is accounted for
const LEDGER = /read|refused|dead|late|duplicate|ledger/;

export function healthView({ signal }) {
  const counts = countsCard();
  const show = ({ roles, counts: all }) => {
    counts.update(all);
    const lag = currentLag();
    return [
      card("Roles", {}, roles.length ? roleTable(roles) : empty("No role runs here.")),
      card("Lag", {}, h("p", { class: isBehind(lag) ? "notice warn" : null }, lagText(lag))),
      counts.element,
    ];
  };
  return { title: "Health", nodes: [resource({ load: () => get("/v1/health", signal), show, signal })] };
}

function roleTable(roles) {
  const columns = [
    { name: "Role", isHead: true, cell: ({ role }) => role },
    { name: "State", cell: ({ is_ready: isReady }) => (isReady ? badge("ready", "Ready") : badge("waiting", "Waits")) },
    { name: "Waits for", cell: ({ waits_for: reason }) => reason ?? "nothing" },
  ];
  return table("The roles of this instance", columns, roles);
}

/** Counts by family, with a field to find one: `{ element, update(counts) }`. */
function countsCard() {
  const id = freshId("find");
  const list = h("div", { class: "resource" });
  let families = [];
  const field = h("input", { id, type: "search", autocomplete: "off", "data-keep": "find a count", input: () => draw() });
  const draw = () => {
    const fitting = families.filter(([name]) => name.includes(field.value.trim()));
    swap(list, fitting.length ? fitting.map(family) : empty("No count has such a name."));
  };
  const element = card("Counts", { note: "What the ledger is made of comes first." }, h("div", { class: "field" }, h("label", { for: id }, "Name"), field), list);
  const update = (counts) => {
    families = Object.entries(Object.groupBy(counts, ({ name }) => name)).sort(([a], [b]) => LEDGER.test(b) - LEDGER.test(a) || a.localeCompare(b));
    draw();
  };
  return { element, update };
}

function family([name, counts]) {
  const columns = [
    { name: "Of", isHead: true, cell: ({ labels }) => Object.entries(labels).map(([label, value]) => `${label} ${value}`).join(", ") || "all" },
    { name: "Value", isNumber: true, cell: ({ value }) => exact(value) },
  ];
  const title = words(name.replace(/^tillstream_/, "").replace(/_total$/, ""));
  return disclosure(name, [title, h("span", { class: "quiet" }, ` (${counts.length})`)], table(name, columns, counts));
}
