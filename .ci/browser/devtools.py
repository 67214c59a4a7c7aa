"""A headless Chromium, driven through its DevTools protocol."""

import base64
import json
import pathlib
import subprocess
import tempfile
import time

from websockets.sync.client import connect

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
           --disable-component-update --disable-sync --disable-dev-shm-usage --remote-debugging-port=0""".split()


class Failure(Exception):
    """The page, or the browser, said that something went wrong."""


class Browser:
    """One process with an empty profile. Use it in a `with` block."""

    def __init__(self, *flags):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            ["chromium", *FLAGS, *flags, f"--user-data-dir={self.profile.name}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            self.devtools = self._listening(deadline=time.monotonic() + 60)
        except BaseException:
            self.close()
            raise

    def _listening(self, deadline):
        """Reads the browser's own line about where it listens."""
        for line in self.process.stderr:
            if "DevTools listening on " in line:
                return line.split()[-1]
            if time.monotonic() > deadline:
                break
        raise Failure("chromium did not say where its DevTools listen")

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        self.profile.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Page:
    """A fresh page of a browser, for a `with` block. Scripts run in it until their promise settles."""

    def __init__(self, browser):
        self.connecting = connect(browser.devtools, max_size=None, compression=None, proxy=None)
        self.next = 0
        self.session = None

    def __enter__(self):
        self.socket = self.connecting.__enter__()
        self.target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        self.call("Page.enable")
        return self

    def __exit__(self, *_):
        self.session = None
        self.call("Target.closeTarget", targetId=self.target)
        self.connecting.__exit__(None, None, None)

    def call(self, method, **params):
        """Sends a command and returns its result."""
        self.next += 1
        command = {"id": self.next, "method": method, "params": params}
        if self.session:
            command["sessionId"] = self.session
        self.socket.send(json.dumps(command))
        while True:
            answer = json.loads(self.socket.recv(timeout=60))
            if answer.get("id") == self.next:
                break
        if "error" in answer:
            raise Failure(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def open(self, url):
        """Goes to a URL and returns when its load event has fired."""
        failure = self.call("Page.navigate", url=url).get("errorText")
        if failure:
            raise Failure(f"{url}: {failure}")
        self.run("""new Promise(done => document.readyState === 'complete'
                    ? done() : addEventListener('load', () => done()))""")

    def run(self, script):
        """The value of a script, or what its promise resolves to."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise Failure(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def until(self, condition, seconds=20):
        """Waits in the page, frame by frame, until a condition holds; returns its value."""
        return self.run(f"""new Promise((done, fail) => {{
            const end = performance.now() + {seconds * 1000};
            (function look() {{
                const value = ({condition});
                if (value) done(value);
                else if (performance.now() > end) fail(new Error({json.dumps("never true: " + condition)}
                    + "; the page says: " + document.body.innerText));
                else setTimeout(look, 10);
            }})();
        }})""")

    def click(self, selector):
        """Presses the left mouse button in the middle of an element, as a person would."""
        box = self.run(f"""(element => {{
            element.scrollIntoView({{ block: "center", behavior: "instant" }});
            const box = element.getBoundingClientRect();
            return {{ x: box.x + box.width / 2, y: box.y + box.height / 2 }};
        }})(document.querySelector({json.dumps(selector)}))""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **box)

    def fill(self, selector, text):
        """Replaces what stands in an input by typed text."""
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def press_enter(self):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r",
                      windowsVirtualKeyCode=13)

    def screenshot(self, path, width=900, height=1100, dark=False):
        """Saves a PNG of the page as a window of that size shows it."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.run("scrollTo(0, 0)")
        shot = self.call("Page.captureScreenshot", format="png")
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))
