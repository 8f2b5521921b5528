// Changes that the shop makes and says beforehand: what begins to move while one lasts is to be expected.

import { get, post } from "/api.js";
import { freshId, h } from "/dom.js";
import { duration } from "/format.js";
import { card, disclosure, empty, table, when } from "/parts.js";
import { resource } from "/resource.js";

const WHAT_MAX = 256;
const LENGTHS = [["6 hours", 21_600], ["1 day", 86_400], ["3 days", 259_200], ["1 week", 604_800], ["4 weeks", 2_419_200]];

/** What is announced, and a form to announce more. */
export function changesCard(signal) {
  const status = h("p", { class: "quiet", role: "status" });
  const say = async (path, body) => {
    status.textContent = "Sending…";
    try {
      await post(path, body);
      status.textContent = "Sent; it is listed once the log has it.";
    } catch (fault) {
      status.textContent = `This was not taken. ${fault.message}`;
    }
  };
  const list = resource({
    load: () => get("/v1/changes", signal),
    show: ({ changes }) => [changeList(changes, (id) => say(`/v1/changes/${encodeURIComponent(id)}/withdraw`, {}))],
    signal,
  });
  const note = "A sale, a relaunch, a new price list. What begins to move while one lasts wakes nobody and is not learned from; patterns of fraud are told all the same.";
  return card("Announced changes", { note }, list, disclosure("announce", "Announce a change", announcement((body) => say("/v1/changes", body))), status);
}

function changeList(changes, withdraw) {
  if (!changes.length) return empty("No change is announced.");
  const columns = [
    { name: "What", isHead: true, cell: (change) => change.what },
    { name: "Begins", cell: (change) => when(change.from_ms) },
    { name: "Lasts", cell: (change) => duration(change.until_ms - change.from_ms) },
    { name: "Said by", cell: (change) => change.by },
    { name: "Withdraw", cell: (change) => withdrawal(change, withdraw) },
  ];
  return table("Announced changes", columns, changes, { hideCaption: true });
}

function withdrawal({ change_id: id, what }, withdraw) {
  return h("button", { type: "button", "data-keep": `withdraw ${id}`, "aria-label": `Withdraw ${what}`, click: () => withdraw(id) }, "Withdraw");
}

function announcement(say) {
  const [whatId, beginsId, lengthId] = [freshId("what"), freshId("begins"), freshId("length")];
  const what = h("input", { id: whatId, required: true, maxlength: WHAT_MAX });
  const begins = h("input", { id: beginsId, type: "datetime-local", required: true, value: localTime(Date.now()) });
  const length = h("select", { id: lengthId }, LENGTHS.map(([name, seconds]) => h("option", { value: seconds, selected: seconds === 86_400 }, name)));
  const submit = (event) => {
    event.preventDefault();
    say({ what: what.value.trim(), from_ms: new Date(begins.value).getTime(), for_seconds: Number(length.value) });
    what.value = "";
  };
  return h("form", { class: "field", submit },
    h("label", { for: whatId }, "What changes"), what,
    h("label", { for: beginsId }, "When it begins (your time)"), begins,
    h("label", { for: lengthId }, "How long it lasts"), length,
    h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Announce")));
}

/** A moment as a field for local time takes it. */
function localTime(ms) {
  const shifted = ms - new Date(ms).getTimezoneOffset() * 60_000;
  return new Date(shifted).toISOString().slice(0, 16);
}
