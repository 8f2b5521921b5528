#!/usr/bin/env python3
"""Looks at the page as people do: with a browser, with a keyboard, on a phone, in the dark.

    browser.py BASE_URL TOKEN [--out DIR] [--at-rest]

BASE_URL is an engine with an open alert. What the page should show is asked of the API of BASE_URL; nothing here knows a number. Each check
is a line; the exit code is 1 if any failed. Screenshots go to DIR (target/page/shots).
"""

import argparse
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

# the repository is no place for compiled files
sys.dont_write_bytecode = True
from devtools import Browser, DevToolsError, wait_until

HERE = Path(__file__).resolve().parent
SHOTS = HERE.parents[1] / "target/page/shots"
WIDE, PHONE = (1280, 900), (360, 780)
LOADED = "!!document.querySelector('main h1') && !document.querySelector('main [aria-busy]')"
# two frames: what depends on the width is drawn again
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
TABS_MAX = 400
DECISIONS = ("approve", "review", "step_up", "decline")
STAGES = ("browsing", "viewed", "cart", "checkout", "purchased")
FUNNEL = ("ended", "viewed", "carted", "checked_out", "purchased")
ABSENT = "does not offer this part"


class Api:
    """The API of the engine under test."""

    def __init__(self, base, token):
        self.base, self.token = base, token

    def get(self, path):
        """The answer; None where there is no such route or thing."""
        request = urllib.request.Request(self.base + path, headers={"authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return json.load(response)
        except urllib.error.HTTPError as fault:
            if fault.code == 404:
                return None
            raise


class Checks:
    """What was checked, a line each."""

    def __init__(self):
        self.failed = 0

    def run(self, name, check, *arguments):
        """A check passes unless it raises; what it answers is said beside it."""
        try:
            said = check(*arguments)
        except (AssertionError, DevToolsError, OSError) as fault:
            self.failed += 1
            print(f"FAIL  {name}: {fault}", flush=True)
        else:
            print(f"ok    {name}{f': {said}' if said else ''}", flush=True)


class Page:
    """The page in a tab."""

    def __init__(self, tab, base):
        self.tab, self.base = tab, base

    def look(self, size=WIDE, scheme="light"):
        """Sets size and scheme, and waits until the page is drawn so."""
        self.tab.size(*size, is_phone=size is PHONE)
        self.tab.prefer(scheme)
        self.tab.evaluate(DRAWN)

    def sign_in(self, token):
        """Types a token into the form."""
        self.tab.wait_for("document.activeElement?.type === 'password'", "the form for the token has the focus")
        self.tab.type(token)
        self.tab.press("Enter")

    def show(self, route):
        """Goes to a route, and waits until every part of it is loaded."""
        self.tab.evaluate(f"document.querySelector('main h1').dataset.before = ''; location.hash = {json.dumps('#/elsewhere')}")
        self.tab.wait_for("!!document.querySelector('main h1:not([data-before])')", "the route before is left")
        self.tab.evaluate(f"document.querySelector('main h1').dataset.before = ''; location.hash = {json.dumps('#/' + route)}")
        self.tab.wait_for(f"!!document.querySelector('main h1:not([data-before])') && {LOADED}", f"#/{route} is loaded")
        self.tab.evaluate(DRAWN)

    def figure(self, name):
        """A number on the page, as it is read there; None where it is not."""
        text = self.tab.evaluate(f"document.querySelector('[data-figure={json.dumps(name)}]')?.textContent ?? null")
        return None if text is None else int(re.sub(r"\D", "", text))

    def text(self):
        """All that can be read."""
        return self.tab.evaluate("document.body.innerText")

    def tab_to(self, condition, what):
        """Presses Tab until the focus is where `condition`, of `it`, is true."""
        for _ in range(TABS_MAX):
            self.tab.press("Tab")
            if self.tab.evaluate(f"((it) => !!({condition}))(document.activeElement)"):
                return
        raise AssertionError(f"the keyboard does not reach {what} within {TABS_MAX} steps")


def refuses(page):
    """A token that is nobody's is refused with a reason."""
    page.sign_in("nobodys-token")
    reason = page.tab.wait_for("document.querySelector('[role=alert]:not([hidden])')?.textContent", "the refusal is said")
    # the refusal itself is in the console, as it should be
    expected = [complaint for complaint in page.tab.complaints if "401" in complaint]
    page.tab.complaints = [complaint for complaint in page.tab.complaints if complaint not in expected]
    page.tab.evaluate("document.querySelector('input').value = ''")
    return reason


def becomes_live(page, token):
    """A good token opens the page, and it follows what happens."""
    page.sign_in(token)
    page.tab.wait_for("['live', 'behind'].includes(document.querySelector('#connection')?.dataset.state)", "the page is live")
    page.tab.wait_for(LOADED, "every part is loaded")
    stored = page.tab.evaluate("JSON.stringify({ ...localStorage })")
    assert token not in stored, "the token is kept for longer than the tab"


def complains_of_nothing(page, absent):
    """No errors in the console and no violations of the policy; a part that the API does not have is none."""
    real = [complaint for complaint in page.tab.complaints if not any(route in complaint for route in absent)]
    assert not real, "; ".join(real[:5])


def agrees(page, api, path, figures):
    """Every number of a part is the API's, between what it says before and after the page is read."""
    first = api.get(path)
    if first is None:
        assert ABSENT in page.text(), f"the API has no {path}, and the page does not say so"
        return "not there, and the page says so"
    seen = {name: [value(first)] for name, value in figures.items()}
    shown = {}

    def all_agree():
        shown.update({name: page.figure(name) for name in figures})
        answer = api.get(path)
        for name, value in figures.items():
            seen[name].append(value(answer))
        return all(shows(shown[name], seen[name]) for name in figures)

    try:
        wait_until(all_agree, f"the page shows what {path} says")
    except DevToolsError as fault:
        wrong = {name: f"{shown[name]}, not {min(seen[name])} to {max(seen[name])}" for name in figures if not shows(shown[name], seen[name])}
        raise AssertionError(f"{fault}: {wrong}") from fault
    return ", ".join(f"{name} {value}" for name, value in shown.items())


def shows(shown, seen):
    """Whether a number is what was seen, as far as it moves. A part of an empty answer shows no number at all."""
    if shown is None:
        return set(seen) == {0}
    return min(seen) <= shown <= max(seen)


def numbers(page, api, checks):
    """The numbers of the section Now."""

    def summed(name):
        return lambda answer: sum(minute.get(name, 0) for minute in answer["minutes"])

    def of_stage(name):
        return lambda answer: answer["by_stage"].get(name, 0)

    def decisions_of(name):
        return lambda answer: sum(minute["decisions"].get(name, 0) for minute in answer["minutes"])

    def decided(answer):
        return sum(decisions_of(name)(answer) for name in DECISIONS)

    parts = [
        ("open alerts", "/v1/alerts?status=open&limit=500", {"open-alerts": lambda answer: len(answer["alerts"])}),
        ("live sessions", "/v1/sessions/live", {"live-sessions": lambda answer: answer["live"]} | {f"stage-{name}": of_stage(name) for name in STAGES}),
        ("decisions of the last hour", "/v1/decisions/minutes?minutes=60", {"decisions": decided} | {f"decisions-{name}": decisions_of(name) for name in DECISIONS}),
        ("funnel of the last hour", "/v1/business/minutes?minutes=60", {f"funnel-{name}": summed(name) for name in FUNNEL} | {"baskets": summed("baskets")}),
    ]
    page.show("")
    for name, path, figures in parts:
        checks.run(f"numbers: {name}", agrees, page, api, path, figures)


def acknowledges(page, api):
    """An open alert is found, opened and acknowledged with the keyboard alone."""
    alerts = api.get("/v1/alerts?status=open&limit=500")["alerts"]
    assert alerts, "no alert is open, so none can be acknowledged"
    alert = next((alert for alert in alerts if alert["acknowledged"] is None), alerts[0])
    path, note = f"/v1/alerts/{alert['alert_id']}", "seen by the browser test"
    page.show("")
    page.tab_to(f"it.getAttribute('href') === '#/alerts/{alert['alert_id']}'", "the link to the alert")
    page.tab.press("Enter")
    page.tab.wait_for(f"location.hash.includes('{alert['alert_id']}') && {LOADED}", "the alert is open")
    page.tab_to("it.tagName === 'TEXTAREA'", "the note")
    page.tab.type(note)
    page.tab_to("it.type === 'submit'", "the button")
    page.tab.press("Enter")

    def acknowledged():
        said = api.get(path)["alert"]["acknowledged"]
        return said if said and said != alert["acknowledged"] else None

    said = wait_until(acknowledged, "the API shows that it is acknowledged")
    assert said["note"] == note, f"the note is {said['note']!r}"
    who = json.dumps(said["by"])
    page.tab.wait_for(f"!!document.querySelector('main [data-figure=acknowledged-by]')?.textContent.includes({who})", "the page shows who has taken it on")
    return f"by {said['by']}"


def open_alert(page, api):
    """The page of an open alert that is not muted: the alert and its path."""
    alerts = api.get("/v1/alerts?status=open&limit=500")["alerts"]
    alert = next((alert for alert in alerts if alert["muted_until_ms"] is None), None)
    assert alert, "no alert is open that is not muted"
    page.show(f"alerts/{alert['alert_id']}")
    return alert, f"/v1/alerts/{alert['alert_id']}"


def presses(page, button):
    """A button is reached with the keyboard and pressed."""
    page.tab_to(f"it.tagName === 'BUTTON' && (it.getAttribute('aria-label') || it.textContent) === {json.dumps(button)}", f"the button {button!r}")
    page.tab.press("Enter")


def says_what_to_do(page, api):
    """An alert shows its entry of the runbook, point by point."""
    alert, _ = open_alert(page, api)
    entry = f"## {alert['kind']}\n"
    runbook = (HERE.parents[1] / "docs/runbook.md").read_text(encoding="utf-8")
    expected = [line for line in runbook.split(entry)[1].split("\n## ")[0].splitlines() if line.startswith("- ")]
    shown = page.tab.wait_for("document.querySelectorAll('main .runbook li').length", "the entry is shown")
    assert shown == len(expected), f"{shown} points instead of {len(expected)}"
    strong = page.tab.evaluate("[...document.querySelectorAll('main .runbook li > strong:first-child')].map((it) => it.innerText)")
    assert strong == [re.match(r"- \*\*(.+?)\*\*", line)[1] for line in expected], f"they begin with {strong}"
    return f"{alert['kind']}, {shown} points"


def hides_ids(page, api):
    """Whose alert it is, is seen nowhere in whole: not in the list, and not in the alert and its command."""
    alerts = api.get("/v1/alerts?status=all&limit=500")["alerts"]
    known = {alert["subject"].split(" ", 1)[1]: alert for alert in alerts if alert["kind"] == "fraud_pattern"}
    known = {of: alert for of, alert in known.items() if not alert["subject"].startswith(("store ", "terminal "))}
    assert known, "no pattern of fraud was told of"
    shown = ""
    for route in ("alerts", "alerts?status=resolved", *[f"alerts/{alert['alert_id']}" for alert in list(known.values())[:3]]):
        page.show(route)
        shown += page.tab.evaluate("document.querySelector('main').innerText")
    raw = [of for of in known if of in shown]
    assert not raw, f"{raw[0]} is shown"
    return f"{len(known)} entities"


def mutes(page, api):
    """An alert is muted for a time and unmuted again, and both stand in the log."""
    alert, path = open_alert(page, api)
    presses(page, "Mute for 8 hours")
    until = wait_until(lambda: api.get(path)["alert"]["muted_until_ms"], "the API shows that it is muted")
    page.tab.wait_for("[...document.querySelectorAll('main [role=status]')].some((it) => it.textContent.includes('The log has it'))", "the page says so")
    presses(page, "Unmute")
    wait_until(lambda: api.get(path)["alert"]["muted_until_ms"] is None, "the API shows that it is unmuted")
    assert until > alert["as_of_ms"], f"muted until {until}, which was over"
    return "for 8 hours"


def announces(page, api):
    """A change is announced, listed, and withdrawn again."""
    what = "a sale of the browser test"
    page.show("alerts")
    page.tab_to("it.tagName === 'SUMMARY' && it.textContent === 'Announce a change'", "what opens the form")
    page.tab.press("Enter")
    page.tab_to("it.tagName === 'INPUT' && it.required && it.type === 'text'", "what changes")
    page.tab.type(what)
    page.tab_to("it.type === 'submit'", "the button")
    page.tab.press("Enter")
    known = lambda: next((change for change in api.get("/v1/changes")["changes"] if change["what"] == what), None)
    change = wait_until(known, "the API lists the change")
    lasts = change["until_ms"] - change["from_ms"]
    assert lasts == 86_400_000, f"it lasts {lasts} ms"
    page.show("alerts")
    presses(page, f"Withdraw {what}")
    wait_until(lambda: known() is None, "the API lists it no more")
    return f"by {change['by']}"


def expects(page, api):
    """An alert is said to be as it should be, which is asked twice, and ends."""
    _, path = open_alert(page, api)
    presses(page, "This is the new normal")
    assert api.get(path)["alert"]["status"] == "open", "it ended before anybody was sure"
    presses(page, "Yes, this is the new normal")
    ended = wait_until(lambda: (alert := api.get(path)["alert"])["status"] == "resolved" and alert, "the API shows that it has ended")
    assert ended["resolution"] == "expected", f"it ended as {ended['resolution']}"
    return "ended as expected"


def looks_up(page, api):
    """The id of a visitor who is looked up is nowhere afterwards."""
    recent = (api.get("/v1/decisions/recent?limit=50") or {"decisions": []})["decisions"]
    visitor = next((record["entities"]["visitor"] for record in recent if "visitor" in record["entities"]), "v-nobody-4711")
    page.show("visitor")
    page.tab.evaluate("document.querySelector('main input').focus()")
    page.tab.type(visitor)
    page.tab.press("Enter")
    page.tab.wait_for(f"document.querySelectorAll('main section').length >= 3 && {LOADED}", "the answers are shown")
    everywhere = page.tab.evaluate(
        "[location.href, document.title, document.documentElement.outerHTML, ...[...document.querySelectorAll('input')].map((field) => field.value),"
        " JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }), JSON.stringify(history.state)].join(' ')")
    assert not re.search(rf"(?<![\w-]){re.escape(visitor)}(?![\w-])", everywhere), "the id is shown"


def routes(api):
    """Every route, with one example of those that are about one thing."""
    known = ["", "alerts", "alerts?status=resolved", "decisions", "visitor", "features", "quality", "business", "health"]
    alerts = (api.get("/v1/alerts?status=all&limit=1") or {"alerts": []})["alerts"]
    decisions = (api.get("/v1/decisions/recent?limit=1") or {"decisions": []})["decisions"]
    features = (api.get("/v1/drift/features") or {"features": []})["features"]
    known += [f"alerts/{alert['alert_id']}" for alert in alerts]
    known += [f"decisions/{decision['decision_id']}" for decision in decisions]
    known += [f"features/{one['stream']}/{one['feature']}" for one in features[:1]]
    return known


def loads(page, route):
    """No part of it says that it could not be loaded."""
    page.show(route)
    said = page.tab.evaluate("[...document.querySelectorAll('main [role=alert]')].map((it) => it.innerText)")
    assert not said, "; ".join(said)


def fits(page, width):
    """Nothing is wider than the window."""
    scrolled = page.tab.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
    assert scrolled <= width, f"it is {scrolled} px wide"


def has_headings(page):
    """One heading of the first level, the first; below it no level is left out."""
    levels = page.tab.evaluate("[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].filter((it) => it.checkVisibility()).map((it) => Number(it.tagName[1]))")
    assert levels and levels[0] == 1 and levels.count(1) == 1, f"the levels are {levels}"
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:])), f"the levels are {levels}"


def has_no_barriers(page):
    """axe-core finds nothing serious or critical."""
    found = page.tab.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))"
        ".map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target }) => target.join(' ')).join(', ')}`))")
    assert not found, "; ".join(found)


def inspect(page, route, axe, out, checks):
    """One route in both sizes and both schemes."""
    name = re.sub(r"\W+", "-", route.split("/")[0] + ("-one" if "/" in route else "")) if route else "now"
    page.look()
    checks.run(f"{name}: loads", loads, page, route)
    checks.run(f"{name}: headings in order", has_headings, page)
    # the page itself may not load it; the protocol may put it there
    if not page.tab.evaluate("'axe' in window"):
        page.tab.evaluate(axe)
    for size_name, size in (("wide", WIDE), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            page.look(size, scheme)
            checks.run(f"{name}: fits, {size_name}, {scheme}", fits, page, size[0])
            checks.run(f"{name}: no barriers, {size_name}, {scheme}", has_no_barriers, page)
            page.tab.screenshot(out / f"{name}-{size_name}-{scheme}.png")


def chooses_a_theme(page):
    """The button goes through the themes, and the choice outlives a load."""
    page.look(WIDE, "light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.tab.evaluate(ground)
    for _ in range(2):
        page.tab.evaluate("document.querySelector('#theme').click()")
    dark = page.tab.evaluate(ground)
    assert dark != light, "the dark theme looks as the light one does"
    page.tab.go(page.base)
    assert page.tab.evaluate(ground) == dark, "the choice is forgotten"
    page.tab.evaluate("document.querySelector('#theme').click()")


def forgets(page):
    """The button forgets the token, and the page shows nothing any more."""
    page.tab.evaluate("document.querySelector('#forget').click()")
    page.tab.wait_for("document.activeElement?.type === 'password'", "the token is asked for again")
    assert page.tab.evaluate("sessionStorage.length") == 0, "the token is still kept"
    assert not page.tab.evaluate("!!document.querySelector('[data-figure]')"), "numbers are still shown"


def test(api, page, axe, out, checks):
    """Every check, in the order in which somebody would use the page."""
    page.look()
    page.tab.go(page.base)
    checks.run("a wrong token is refused", refuses, page)
    page.tab.go(page.base)
    checks.run("a good token opens the page, and it is live", becomes_live, page, api.token)
    numbers(page, api, checks)
    checks.run("an alert is acknowledged by keyboard", acknowledges, page, api)
    checks.run("the entity of an alert is shown in short", hides_ids, page, api)
    checks.run("an alert says what to do", says_what_to_do, page, api)
    checks.run("an alert is muted and unmuted by keyboard", mutes, page, api)
    checks.run("an alert is said to be expected by keyboard", expects, page, api)
    checks.run("a change is announced and withdrawn by keyboard", announces, page, api)
    checks.run("a visitor's id is not shown again", looks_up, page, api)
    for route in routes(api):
        inspect(page, route, axe, out, checks)
    checks.run("a theme can be chosen", chooses_a_theme, page)
    absent = [path for path in ("/v1/sessions/live", "/v1/decisions", "/v1/business", "/v1/drift", "/v1/quality", "/v1/health", "/v1/visitors") if is_absent(api, path)]
    checks.run("no complaints, no violations of the policy", complains_of_nothing, page, absent)
    checks.run("the token is forgotten", forgets, page)


# an address that a route of the name answers if it is there at all; a visitor may be unknown to an engine that has the route
EXAMPLES = {"/v1/decisions": "/v1/decisions/recent?limit=1", "/v1/business": "/v1/business/minutes?minutes=1", "/v1/drift": "/v1/drift/features",
            "/v1/visitors": "/v1/visitors/nobody/session"}


def is_absent(api, path):
    return api.get(EXAMPLES.get(path, path)) is None


def is_at_rest(api):
    """Whether nothing is newer than it was two seconds ago."""
    def newest():
        return [api.get(path) | {"lag": None} for path in ("/v1/sessions/live", "/v1/decisions/minutes", "/v1/business/minutes?minutes=1")]

    before = newest()
    time.sleep(2)
    return newest() == before


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("base_url")
    arguments.add_argument("token")
    arguments.add_argument("--out", type=Path, default=SHOTS)
    arguments.add_argument("--at-rest", action="store_true", help="begin once no more traffic comes")
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    axe = Path(subprocess.run([HERE / "axe.sh", "fetch"], check=True, capture_output=True, text=True).stdout.strip()).read_text()
    checks = Checks()
    base = given.base_url.rstrip("/")
    api = Api(base, given.token)
    wait_until(lambda: api.get("/v1/alerts?status=open&limit=1")["alerts"], "an alert is open", 120)
    if given.at_rest:
        wait_until(lambda: is_at_rest(api), "no more traffic comes", 120)
    with Browser() as browser:
        test(api, Page(browser.open(), f"{base}/"), axe, given.out, checks)
    print(f"{checks.failed} failed" if checks.failed else "all passed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
