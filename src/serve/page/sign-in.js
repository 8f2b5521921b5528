// Asks for the token, and tries it before the page goes on.

import { forgetToken, get, keepToken } from "/api.js";
import { freshId, h, swap } from "/dom.js";

/** A form; `done()` is called once a token is known to be good. `message` says why the last one is not any longer. */
export function signIn(done, message = "") {
  const id = freshId("token");
  const fault = h("p", { class: "notice bad", role: "alert", hidden: !message }, message);
  const field = h("input", { id, type: "password", required: true, autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-help` });
  const button = h("button", { type: "submit", class: "primary" }, "Open");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    const refusal = await refusalOf(field.value.trim());
    button.disabled = false;
    if (!refusal) return done();
    swap(fault, refusal);
    fault.hidden = false;
    field.select();
    field.focus();
  };
  const help = h("p", { id: `${id}-help`, class: "quiet" }, "The bearer token of a client with the role operator; with analyst and page as well, visitors can be looked up. It stays in this tab, and is gone when the tab is closed.");
  return h("form", { class: "card sign-in", submit },
    h("h1", { tabindex: "-1" }, "Open the page"), fault, h("label", { for: id }, "Token"), field, help, button);
}

/** Why the engine does not take this token; null if it does. */
async function refusalOf(token) {
  // what a header cannot hold would fail as if the engine were away
  if (!/^[\x21-\x7e]+$/.test(token)) return "A token is made of letters, digits and signs, without spaces.";
  keepToken(token);
  try {
    await get("/v1/alerts?status=open&limit=1");
    return null;
  } catch (refusal) {
    if (refusal.isAbsent) return null;
    forgetToken();
    return refusal.message;
  }
}
