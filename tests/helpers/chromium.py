"""A real browser without a window, spoken to over its debugging pipe: no package is needed for it."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]

# The browser expects its pipe at the numbers 3 and 4.
_PLACE = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for number, end in enumerate(ends, 3):
    os.dup2(end, number)
os.execv(sys.argv[3], sys.argv[3:])
"""


class RefusedError(AssertionError):
    """The browser could not do as it was told."""


class Browser:
    """One page. Errors in its console, and requests for anything but files, are collected.

    Attributes:
        problems: what the console complained of, and exceptions of scripts.
        requests: addresses that were asked for, those of data within the page left out.
    """

    def __init__(self, process: subprocess.Popen, to: int, source: int) -> None:
        self._process, self._to, self._source = process, to, source
        self._numbers = itertools.count(1)
        self._rest = b""
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result; events on the way are noted."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RefusedError(json.dumps(answer["error"]))
                return answer["result"]
            self._note(answer)

    def open(
        self, page: Path | str, *, width: int = 1280, height: int = 900, dark: bool = False
    ) -> None:
        """Show a page of the disk, or of an address, and wait until all of it is there."""
        self.resize(width, height)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        address = page if isinstance(page, str) else page.resolve().as_uri()
        # The page before may still answer for a moment, and may be of the same address.
        self.run("window.isLeft = true")
        self.call("Page.navigate", url=address)
        self.until("!window.isLeft && document.readyState === 'complete'")

    def resize(self, width: int, height: int) -> None:
        mobile = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if mobile else 1,
            mobile=mobile,
        )

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        begun = time.monotonic()
        found = False
        while not found:
            assert time.monotonic() - begun < 180, (expression, found)
            with contextlib.suppress(RefusedError):  # by a page that is about to be left
                found = self.run(expression)
            time.sleep(0.02)

    def upload(self, selector: str, file: Path) -> None:
        """Choose a file in an input of the page, as somebody would in the dialogue."""
        document = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def press(self, key: str, code: int = 0) -> None:
        """Press a key and let it go."""
        text = key if len(key) == 1 else {"Enter": "\r"}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                text=text if kind == "keyDown" else "",
                windowsVirtualKeyCode=code,
            )

    def picture(self, area: dict[str, float] | None = None) -> bytes:
        """A PNG of what is seen, or of an area of the page in CSS pixels."""
        wanted: dict[str, Any] = {"format": "png"}
        if area is not None:
            wanted |= {"clip": area, "captureBeyondViewport": True}
        return base64.b64decode(self.call("Page.captureScreenshot", **wanted)["data"])

    def download(self, folder: Path, expression: str) -> Path:
        """The file that an expression makes the page save."""
        self.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.run(expression)
        begun = time.monotonic()
        while True:
            files = [path for path in folder.iterdir() if path.suffix != ".crdownload"]
            if files and files[0].stat().st_size:
                return files[0]
            assert time.monotonic() - begun < 180, "nothing was saved"
            time.sleep(0.02)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._source, 1 << 20)
            assert piece, f"the browser ended with status {self._process.poll()}"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _note(self, message: dict[str, Any]) -> None:
        method, values = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(values["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.problems.append(json.dumps(values["entry"]))
        elif method == "Runtime.consoleAPICalled":
            self.problems.append(json.dumps(values["args"]))
        elif method == "Network.requestWillBeSent":
            address = values["request"]["url"]
            if not address.startswith(("data:", "blob:")):
                self.requests.append(address)


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own in the folder; the test is skipped where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None or os.name == "nt":
        pytest.skip("no Chromium on this machine")
    commands, to = os.pipe()
    source, answers = os.pipe()

    process = subprocess.Popen(
        [
            *(sys.executable, "-c", _PLACE, str(commands), str(answers)),
            *(program, *_QUIET, f"--user-data-dir={folder / 'profile'}", "about:blank"),
        ],
        pass_fds=(commands, answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands)
    os.close(answers)
    try:
        yield Browser(process, to, source)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(to)
        os.close(source)
