// The frame of the page: sections, routes, the token. Each section is a module of its own that builds a view for a route.

import { alertsView, fetchAlerts } from "/alerts.js";
import { answers, forgetToken, hasToken } from "/api.js";
import { businessView } from "/business.js";
import { announceAlerts, showConnection } from "/connection.js";
import { decisionsView } from "/decisions.js";
import { h, swap } from "/dom.js";
import { featuresView } from "/features.js";
import { count } from "/format.js";
import { healthView } from "/health.js";
import { nowView } from "/now.js";
import { qualityView } from "/quality.js";
import { signIn } from "/sign-in.js";
import { closeStream, news, openStream } from "/stream.js";
import { offerThemes } from "/theme.js";
import { visitorView } from "/visitor.js";

const SECTIONS = [
  { path: "", name: "Now", view: nowView },
  { path: "alerts", name: "Alerts", view: alertsView },
  { path: "decisions", name: "Decisions", view: decisionsView },
  { path: "visitor", name: "Visitor", view: visitorView },
  { path: "features", name: "Features", view: featuresView },
  { path: "quality", name: "Quality", view: qualityView },
  { path: "business", name: "Business", view: businessView },
  { path: "health", name: "Health", view: healthView },
];

const at = (id) => document.getElementById(id);
const main = at("main");
let leaving = new AbortController();

/** `#/alerts/00f3?status=open` as its parts. */
function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [section = "", ...rest] = path.split("/").map(decoded);
  return { section, rest: rest.filter(Boolean), query: new URLSearchParams(query) };
}

/** A part of a path; one that is no proper text is taken as it stands. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function show({ moveFocus }) {
  leaving.abort();
  leaving = new AbortController();
  const { section, rest, query } = route();
  const known = SECTIONS.find(({ path }) => path === section);
  const { title, nodes } = known ? known.view({ rest, query, signal: leaving.signal }) : nowhere();
  const heading = h("h1", { tabindex: "-1" }, title);
  swap(main, heading, nodes);
  document.title = `${title} · tillstream`;
  mark(section);
  if (!moveFocus) return;
  scrollTo(0, 0);
  heading.focus({ preventScroll: true });
}

function nowhere() {
  const back = h("a", { href: "#/" }, "Go to what happens now");
  return { title: "There is no such page", nodes: [h("p", null, back, ".")] };
}

function mark(section) {
  for (const link of at("sections").querySelectorAll("a")) {
    if (link.dataset.section === section) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function buildSections() {
  const bubble = () => h("span", { id: "open-alerts", class: "bubble", hidden: true });
  const link = ({ path, name }) => h("li", null, h("a", { href: `#/${path}`, "data-section": path }, name, path === "alerts" && bubble()));
  swap(at("sections"), h("ul", null, SECTIONS.map(link)));
}

/** How many alerts are open, beside the name of their section. */
async function countAlerts() {
  const known = await fetchAlerts("open").catch(() => null);
  if (!known) return;
  const bubble = at("open-alerts");
  bubble.hidden = known.alerts.length === 0;
  swap(bubble, count(known.alerts.length), h("span", { class: "unseen" }, " open"));
}

function enter() {
  frame(true);
  openStream();
  countAlerts();
  show({ moveFocus: true });
}

function leave(message) {
  leaving.abort();
  closeStream();
  forgetToken();
  frame(false);
  document.title = "tillstream";
  swap(main, signIn(enter, message));
  main.querySelector("input").focus();
}

function frame(isOpen) {
  for (const id of ["sections", "connection", "forget"]) at(id).hidden = !isOpen;
}

function start() {
  buildSections();
  offerThemes(at("theme"));
  showConnection(at("connection"));
  announceAlerts(at("announcer"));
  at("forget").addEventListener("click", () => leave());
  // its own hash would be taken for a route
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  answers.addEventListener("refused", ({ detail }) => hasToken() && !at("sections").hidden && leave(detail.message));
  news.addEventListener("state", ({ detail }) => detail.name === "forbidden" && leave(detail.message));
  news.addEventListener("alert", countAlerts);
  addEventListener("hashchange", () => hasToken() && show({ moveFocus: true }));
  if (hasToken()) enter();
  else leave();
}

start();
