// A part of a view that is loaded, and kept fresh for as long as the view is shown. Each of its states has a face:
// loading, loaded, not there, failed, and loaded once but not refreshed.

import { Refusal } from "/api.js";
import { h, swap } from "/dom.js";
import { news } from "/stream.js";

// however much happens, a part is loaded again after this long at the earliest
const REST_MS = 2_000;
// without news it is loaded again after this long: some of what is shown is in no stream
const FRESH_MS = 20_000;

/**
 * An element that shows what `load(signal)` answers through `show(answer)`, a list of elements. Any event of the stream named in
 * `wakes` has it loaded again.
 */
export function resource({ load, show, signal, wakes = [] }) {
  const element = h("div", { class: "resource", "aria-busy": "true" }, h("p", { class: "quiet" }, "Loading…"));
  let shown = null;
  let timer = null;
  let dueAt = Infinity;
  let restUntil = 0;
  let isLoading = false;

  const plan = (at) => {
    if (signal.aborted || at >= dueAt) return;
    clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(refresh, Math.max(0, at - Date.now()));
  };
  const render = (answer) => {
    // an answer that says the same changes nothing on the page
    const text = JSON.stringify({ ...answer, lag: null });
    if (text !== shown) swap(element, show(answer));
    else element.querySelector(":scope > .stale")?.remove();
    shown = text;
  };
  const fail = (fault) => {
    // an answer that cannot be shown is a bug, and belongs into the console
    if (!(fault instanceof Refusal)) console.error(fault);
    if (fault.isAbsent) {
      shown = null;
      swap(element, absent());
    } else if (shown === null) {
      swap(element, failed(fault, () => plan(Date.now())));
    } else if (!element.querySelector(":scope > .stale")) {
      element.prepend(stale());
    }
  };
  async function refresh() {
    dueAt = Infinity;
    if (isLoading) {
      plan(Date.now() + REST_MS);
      return;
    }
    isLoading = true;
    try {
      const answer = await load(signal);
      if (!signal.aborted) render(answer);
    } catch (fault) {
      if (signal.aborted) return;
      fail(fault);
    }
    isLoading = false;
    element.removeAttribute("aria-busy");
    restUntil = Date.now() + REST_MS;
    plan(Date.now() + FRESH_MS);
  }
  const wake = () => plan(Math.max(Date.now(), restUntil));
  for (const name of [...wakes, "missed"]) news.addEventListener(name, wake, { signal });
  news.addEventListener("state", ({ detail }) => detail.name === "live" && wake(), { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  refresh();
  return element;
}

function absent() {
  return h("p", { class: "quiet" }, "This engine does not offer this part, or knows nothing of it yet.");
}

function failed(fault, retry) {
  const again = h("button", { type: "button", "data-keep": "retry", click: retry }, "Try again");
  return h("div", { class: "notice bad", role: "alert" }, h("p", null, `This could not be loaded. ${fault.message}`), again);
}

function stale() {
  return h("p", { class: "notice warn stale" }, "This could not be refreshed; it shows what was known last.");
}
