"""A browser without a window, driven over a pipe by its own protocol, without a package."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SECONDS = 60.0


def browser() -> str | None:
    """The path of a browser that can be driven, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One page; ``width`` and ``height`` are those of its window."""

    def __init__(self, reads: int, writes: int, width: int, height: int):
        self._reads, self._writes = reads, writes
        self._got = b""
        self._number = 0
        self._session = ""
        #: What the page has complained of: uncaught errors, refused requests.
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def call(self, method: str, **parameters: Any) -> Any:
        """The result of a method of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _SECONDS
        while True:
            answer = self._next(deadline)
            if answer.get("method") == "Runtime.exceptionThrown":
                details = answer["params"]["exceptionDetails"]
                self.complaints.append(str(details.get("exception", details)))
            elif answer.get("method") == "Log.entryAdded":
                entry = answer["params"]["entry"]
                if entry["level"] == "error":
                    self.complaints.append(f"{entry['text']} {entry.get('url', '')}")
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._got:
            wait = deadline - time.monotonic()
            assert wait > 0 and select.select([self._reads], [], [], wait)[0], "no answer"
            data = os.read(self._reads, 1 << 20)
            assert data, "the browser has ended"
            self._got += data
        message, _, self._got = self._got.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Another size of the window."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, mobile=width < 600,
            deviceScaleFactor=1,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """The value of an expression, which may be a promise."""
        out = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in out, out
        return out["result"].get("value")

    def wait(self, script: str) -> Any:
        """The value of an expression, as soon as it is true."""
        deadline = time.monotonic() + _SECONDS
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f"never true: {script}"
            time.sleep(0.05)
        return value

    def key(self, key: str, code: str = "") -> None:
        """Press a key, wherever the focus is."""
        text = {"text": key} if len(key) == 1 else {}
        codes = {"Tab": 9, "ArrowRight": 39, "ArrowLeft": 37, " ": 32}
        more = {"windowsVirtualKeyCode": codes[key]} if key in codes else {}
        for kind in ("keyDown", "keyUp"):
            own = text if kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, **own, **more)

    def picture(self) -> bytes:
        """The whole page as PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])


@contextmanager
def page(folder: Path, width: int = 1280, height: int = 900) -> Iterator[Page]:
    """A page of a browser whose files are in ``folder``."""
    path = browser()
    assert path is not None
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()

    def as_three_and_four() -> None:
        first, second = os.dup(theirs_in), os.dup(theirs_out)  # out of the way of 3 and 4
        os.dup2(first, 3)
        os.dup2(second, 4)

    process = subprocess.Popen(
        [path, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
         "--no-first-run", "--disable-background-networking", f"--user-data-dir={folder}",
         "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
        preexec_fn=as_three_and_four, start_new_session=True,
    )  # fmt: skip
    try:
        os.close(theirs_in)
        os.close(theirs_out)
        yield Page(ours_in, ours_out, width, height)
    finally:
        process.kill()
        process.wait(20)
        os.close(ours_in)
        os.close(ours_out)
