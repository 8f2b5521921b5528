// What may be said of an alert. It goes through the log, so the page waits for the revision that shows it.

import { post } from "/api.js";
import { freshId, h } from "/dom.js";
import { card } from "/parts.js";

const MUTES = [["1 hour", 3_600], ["8 hours", 28_800], ["24 hours", 86_400], ["7 days", 604_800]];
const NOTE_MAX = 1_024;

/** The buttons for the alert at `path`: `{ element, update(alert) }`. */
export function alertActions(path) {
  const status = h("p", { class: "quiet", role: "status" });
  let revisionSaidOf = null;
  let revision = 0;

  const say = async (saying, body) => {
    buttons.forEach((button) => { button.disabled = true; });
    revisionSaidOf = revision;
    status.textContent = "Sending…";
    try {
      await post(`${path}/${saying}`, body);
      // the revision may have been faster than the answer
      if (revisionSaidOf !== null) status.textContent = "Sent; waiting for the log.";
    } catch (fault) {
      revisionSaidOf = null;
      status.textContent = `This was not taken. ${fault.message}`;
    }
    buttons.forEach((button) => { button.disabled = false; });
  };

  const acknowledge = acknowledgement((note) => say("acknowledge", { note }));
  const mute = ([name, seconds]) => h("button", { type: "button", "aria-label": `Mute for ${name}`, click: () => say("mute", { for_seconds: seconds }) }, name);
  const unmute = h("button", { type: "button", click: () => say("unmute", {}) }, "Unmute");
  const expect = expectation(() => say("expect", {}));
  const element = card("What to do with it", {}, acknowledge,
    h("div", { class: "field" },
      h("h3", null, "Mute"),
      h("p", { class: "quiet" }, "Nobody is told of it for a while, nor of the next about the same."),
      h("div", { class: "buttons" }, MUTES.map(mute), unmute)),
    expect, status);
  const buttons = element.querySelectorAll("button");

  const update = (alert) => {
    revision = alert.revision;
    acknowledge.hidden = alert.status !== "open";
    expect.hidden = alert.status !== "open";
    unmute.hidden = alert.muted_until_ms === null;
    if (revisionSaidOf === null || revision <= revisionSaidOf) return;
    revisionSaidOf = null;
    status.textContent = `The log has it: this is revision ${revision}.`;
  };
  return { element, update };
}

/** A form for who takes it on. The engine knows the client of the token alone, so a name goes in front of the note. */
function acknowledgement(say) {
  const [who, note] = [freshId("who"), freshId("note")];
  const name = h("input", { id: who, autocomplete: "name", maxlength: 64 });
  const text = h("textarea", { id: note, maxlength: NOTE_MAX - 70 });
  const submit = (event) => {
    event.preventDefault();
    say([name.value.trim(), text.value.trim()].filter(Boolean).join(": ") || null);
  };
  return h("form", { class: "field", submit },
    h("h3", null, "Acknowledge"),
    h("p", { class: "quiet" }, "Say that somebody has taken it on. The client of the token is named in any case."),
    h("label", { for: who }, "Your name"), name,
    h("label", { for: note }, "Note"), text,
    h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Acknowledge")));
}

/** Asks once more: the episode ends, and what is there now is the measure of what comes. */
function expectation(say) {
  const confirm = h("button", { type: "button", class: "primary", click: () => { choose(false); say(); } }, "Yes, this is the new normal");
  const cancel = h("button", { type: "button", click: () => { choose(false); ask.focus(); } }, "No");
  const ask = h("button", { type: "button", click: () => { choose(true); confirm.focus(); } }, "This is the new normal");
  const sure = h("div", { class: "field", hidden: true },
    h("p", null, "The episode ends, and what is there now becomes the reference. This cannot be taken back."),
    h("div", { class: "buttons" }, confirm, cancel));
  const choose = (isAsked) => {
    ask.hidden = isAsked;
    sure.hidden = !isAsked;
  };
  return h("div", { class: "field" },
    h("h3", null, "Expect"),
    h("p", { class: "quiet" }, "It is as it should be."),
    h("div", { class: "buttons" }, ask), sure);
}
