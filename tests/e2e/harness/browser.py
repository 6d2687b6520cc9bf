"""Drives headless Chromium over its DevTools pipe."""

import base64
import json
import os
import subprocess
import tempfile
import threading

from harness.tools import tool
from harness.waiting import DEADLINE_SECONDS, wait_until

_FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
    "--disable-extensions", "--disable-sync", "--remote-debugging-pipe",
]  # fmt: skip

_PATIENCE_SECONDS = 3 * DEADLINE_SECONDS  # on a loaded machine a browser starves before other programs do


class Browser:
    """One browser with one page. Use it in a `with`: leaving ends it.

    `requests` holds each URL that the page fetched, `complaints` the lines that it wrote to the console, its exceptions
    and the requests that its content security policy stopped.
    """

    def __init__(self, *flags, size=(1280, 900), mobile=False, scheme="light"):
        self.requests = []
        self.complaints = []
        self._answers = {}
        self._number = 0
        self._changed = threading.Condition()
        self._profile = tempfile.TemporaryDirectory(prefix="hg-browser-", ignore_cleanup_errors=True)
        commands, self._commands = os.pipe()
        self._events, events = os.pipe()
        argv = [tool("chromium"), *_FLAGS, f"--user-data-dir={self._profile.name}", *flags, "about:blank"]
        script = f'exec "$0" "$@" 3<&{commands} 4>&{events}'
        self._child = subprocess.Popen(
            [tool("bash"), "-c", script, *argv],
            pass_fds=[commands, events],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self._profile.name},
        )
        os.close(commands)
        os.close(events)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._open_page(size, mobile, scheme)
        except BaseException:
            self.close()
            raise

    def _open_page(self, size, mobile, scheme):
        self._session = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")
        width, height = size
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    # --- the pipe: JSON, each ended by a zero byte

    def _read(self):
        pending = b""
        while chunk := os.read(self._events, 1 << 16):
            *whole, pending = (pending + chunk).split(b"\0")
            with self._changed:
                for message in whole:
                    self._take(json.loads(message))
                self._changed.notify_all()
        with self._changed:
            self._answers = None
            self._changed.notify_all()

    def _take(self, message):
        told = message.get("params", {})
        if "id" in message:
            self._answers[message["id"]] = message
        elif message["method"] == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif message["method"] == "Runtime.exceptionThrown":
            self.complaints.append(told["exceptionDetails"])
        elif message["method"] == "Log.entryAdded" and told["entry"]["level"] in ("warning", "error"):
            self.complaints.append(told["entry"])
        elif message["method"] == "Runtime.consoleAPICalled":
            self.complaints.append(told["args"])

    def ask(self, method, **params):
        """The answer to one command of the DevTools protocol."""
        with self._changed:
            self._number += 1
            number = self._number
            message = {"id": number, "method": method, "params": params}
            if self._session:
                message["sessionId"] = self._session
            os.write(self._commands, json.dumps(message).encode() + b"\0")
            self._changed.wait_for(lambda: self._answers is None or number in self._answers, _PATIENCE_SECONDS)
            assert self._answers is not None, "the browser ended"
            assert number in self._answers, f"no answer to {method}"
            answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    # --- the page

    def open(self, url):
        told = self.ask("Page.navigate", url=url)
        assert "errorText" not in told, told
        self.wait("document.readyState === 'complete'")

    def value(self, expression):
        """The value of a JavaScript expression in the page; a promise is awaited."""
        told = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def text(self, selector):
        """The visible text of an element."""
        return self.value(f"document.querySelector({json.dumps(selector)}).innerText")

    def wait(self, expression, seconds=DEADLINE_SECONDS):
        """Waits until a JavaScript expression is true; returns its value."""
        return wait_until(lambda: self.value(expression), lambda: f"{expression}\n{self.text('body')}", seconds)

    def screenshot(self, file, whole=True):
        told = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(file, "wb") as image:
            image.write(base64.b64decode(told["data"]))

    # --- its end

    def close(self):
        os.close(self._commands)  # it ends when its pipe is closed
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._reader.join(DEADLINE_SECONDS)
        os.close(self._events)
        self._profile.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
