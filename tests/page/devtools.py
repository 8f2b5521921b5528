"""A minimal client of Chromium's DevTools protocol, over --remote-debugging-pipe; Python's standard library alone.

One `Browser` is one Chromium with a profile of its own, thrown away at the end. A `Tab` sends commands, remembers what the page
complained of, and waits for conditions; nothing here sleeps for a fixed time.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--lang=en-GB")
COMMAND_SECONDS = 30
WAIT_SECONDS = 20
# how often a condition is looked at again
LOOK_AGAIN_SECONDS = 0.05
# codes of keys that are no characters: name -> (code, text)
KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " ")}
SHIFT = 8


class DevToolsError(Exception):
    """A command was refused, the browser is gone, or a condition did not come true in time."""


def find_browser():
    """The path of a Chromium."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise DevToolsError(f"no Chromium is installed (looked for {', '.join(NAMES)})")
    return found


class Browser:
    """A running Chromium."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(prefix="tillstream-page-", ignore_cleanup_errors=True)
        self.process, self.reading, self.writing = start(find_browser(), self.profile.name)
        self.buffer = b""
        self.last_id = 0
        self.tabs = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends this browser's own process group."""
        os.close(self.writing)
        os.close(self.reading)
        try:
            os.killpg(self.process, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.process, 0)
        self.profile.cleanup()

    def open(self):
        """A new tab."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        self.tabs[session] = tab = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            tab.call(f"{domain}.enable")
        return tab

    def call(self, method, params=None, session=None):
        """Sends a command and waits for its answer; events that come meanwhile go to their tabs."""
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.writing, data):]
        deadline = time.monotonic() + COMMAND_SECONDS
        while True:
            answer = self.receive(deadline, method)
            if answer.get("id") != self.last_id:
                continue
            if "error" in answer:
                raise DevToolsError(f"{method}: {answer['error']['message']}")
            return answer["result"]

    def receive(self, deadline, what):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.reading], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise DevToolsError(f"{what}: no answer within {COMMAND_SECONDS} s")
            data = os.read(self.reading, 1 << 20)
            if not data:
                raise DevToolsError("the browser has ended")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(message)
        tab = self.tabs.get(message.get("sessionId"))
        if tab and "method" in message:
            tab.heard(message["method"], message["params"])
        return message


def start(program, profile):
    """Chromium in a process group of its own, with the pipe as its descriptors 3 and 4."""
    # moved out of the way of 3 and 4, which the child takes
    pipes = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for pair in (os.pipe(), os.pipe()) for end in pair]
    their_reading, writing, reading, their_writing = pipes
    # what it says on its own is about the machine it runs on: no display bus, no graphics card
    quiet = [(os.POSIX_SPAWN_OPEN, descriptor, "/dev/null", os.O_WRONLY, 0) for descriptor in (1, 2)]
    actions = [(os.POSIX_SPAWN_DUP2, their_reading, 3), (os.POSIX_SPAWN_DUP2, their_writing, 4), *quiet]
    process = os.posix_spawn(program, [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"], os.environ, file_actions=actions, setpgroup=0)
    os.close(their_reading)
    os.close(their_writing)
    return process, reading, writing


class Tab:
    """A page."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session
        self.complaints = []

    def call(self, method, **params):
        """A command of the protocol, to this page."""
        return self.browser.call(method, params, self.session)

    def heard(self, method, params):
        """Keeps what the page complains of: errors of scripts, of the console, of the network, and violations of its policy."""
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(f"console.{params['type']}: {[part.get('value', part.get('description')) for part in params['args']]}")
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}".strip())
        elif method == "Audits.issueAdded" and params["issue"]["code"] == "ContentSecurityPolicyIssue":
            self.complaints.append(f"content security policy: {json.dumps(params['issue']['details'])}")

    def evaluate(self, expression):
        """The value of an expression in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise DevToolsError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait_for(self, expression, what, seconds=WAIT_SECONDS):
        """Waits until the expression is true, and answers its value."""
        return wait_until(lambda: self.evaluate(expression), what, seconds)

    def go(self, url):
        """Loads a page from scratch."""
        self.evaluate("window.isOfThePageBefore = true")
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && !window.isOfThePageBefore", f"{url} is loaded")

    def size(self, width, height, is_phone=False):
        """How large the window is, in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if is_phone else 1, mobile=is_phone)

    def prefer(self, scheme):
        """`light` or `dark`; motion is reduced, so that pictures do not depend on the moment."""
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def press(self, key, shift=False):
        """Presses a key as a keyboard does."""
        code, text = KEYS[key]
        common = {"key": key, "windowsVirtualKeyCode": code, "modifiers": SHIFT if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        """Puts a text where the focus is."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path):
        """The whole page as a PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        Path(path).write_bytes(base64.b64decode(data))


def wait_until(condition, what, seconds=WAIT_SECONDS):
    """Asks again until `condition()` is true, and answers its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise DevToolsError(f"not within {seconds} s: {what}")
        time.sleep(LOOK_AGAIN_SECONDS)
