"""Reports in a real browser: do figures overlap or overflow, do sorting, filtering, themes and printing work, how fast?

Drives Chromium (`apt install chromium`) through a pipe in its DevTools protocol, over made-up studies of every kind and
over any study folder that is named.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import report_studies
from benchmarks.hardware import hardware
from pdsearch.analysis.report import as_html, build_report
from pdsearch.analysis.study_table import read_study

CHECKS = Path(__file__).parent / "report_checks.js"
WIDTHS = (400, 768, 1400)
MOST_S = 60
PAPER_PX = 688
"""Width of A4 without its margins of 14 mm, at 96 pixels an inch."""

PICTURE_PX, PICTURE_HIGH = 1100, 1500
"""Width and height of the picture of a report."""

SETTLED = (
    "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 150))))"
)
DRAWN = (
    "[...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('svg') || plot.textContent)"
)


class Browser:
    """A headless Chromium with one tab.

    Args:
        to: File descriptor of its commands.
        back: File descriptor of its answers.
    """

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back, self._rest, self._number = to, os.fdopen(back, "rb", buffering=0), b"", 0
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", {"url": "about:blank"}, session=None)["targetId"]
        attached = self.call("Target.attachToTarget", {"targetId": target, "flatten": True}, session=None)
        self._session = str(attached["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(
        self, method: str, params: dict[str, Any] | None = None, session: str | None = ""
    ) -> dict[str, Any]:
        """Call a method of the protocol and return its result; events that arrive meanwhile are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params or {}}
        if session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = self._back.read(1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self._rest += part
        message, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(message))

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page; a promise's when it is there."""
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True}
        answer = self.call("Runtime.evaluate", asked)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def check(self, *names: str) -> list[str]:
        """Return the faults that checks of report_checks.js find."""
        return [f"{name}: {fault}" for name in names for fault in self.run(f"checks.{name}()")]

    def size(self, width: int, height: int = 900) -> None:
        """Make the window so wide, as a phone's or a sheet's below 700 pixels, and wait until the page has followed."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.call("Emulation.setDeviceMetricsOverride", metrics)
        self.run(SETTLED)

    def media(self, *, theme: str = "light", kind: str = "screen") -> None:
        """Emulate the system's theme and the kind of medium; without a kind none is emulated."""
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", {"media": kind, "features": features})
        self.run(SETTLED)

    def open(self, file: Path) -> float:
        """Open a file and return the seconds until all its figures are drawn."""
        self.events.clear()
        began = time.monotonic()
        self.call("Page.navigate", {"url": file.resolve().as_uri()})
        while not self.run(f"document.readyState === 'complete' && {DRAWN}"):
            if time.monotonic() - began > MOST_S:
                raise RuntimeError(f"{file} is not drawn after {MOST_S} s: {self.faults()}")
            time.sleep(0.02)
        return time.monotonic() - began

    def faults(self) -> list[str]:
        """Return the errors in the console, and what was fetched beside the file itself."""
        found = []
        for event in self.events:
            params = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"])[:200])
            elif event.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
                found.append(str(params["args"])[:200])
            elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(str(params["entry"]["text"])[:200])
            elif event.get("method") == "Network.requestWillBeSent":
                url = str(params["request"]["url"])
                if not url.startswith(("file:", "data:", "about:")):
                    found.append(f"fetched {url[:100]}")
        return found

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 12_000), "scale": 1}
        shot = self.call("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        path.write_bytes(base64.b64decode(shot["data"]))

    def picture(self, path: Path, height: int) -> None:
        """Write a small picture of the top of the page, as WebP."""
        clip = {"x": 0, "y": 0, "width": PICTURE_PX, "height": height, "scale": 1}
        asked = {"format": "webp", "quality": 70, "clip": clip, "captureBeyondViewport": True}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", asked)["data"]))

    def pdf(self, path: Path) -> int:
        """Print the page and return its number of sheets."""
        asked = {"preferCSSPageSize": True, "printBackground": True}
        content = base64.b64decode(self.call("Page.printToPDF", asked)["data"])
        path.write_bytes(content)
        return content.count(b"/Type /Page\n")


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """Start Chromium and end it afterwards."""
    (theirs_in, to), (back, theirs_out) = os.pipe(), os.pipe()
    with TemporaryDirectory() as profile:
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            f"--user-data-dir={profile}",
        ]
        command = [
            "bash",
            "-c",
            f'exec "$@" 3<&{theirs_in} 4>&{theirs_out} 2>/dev/null',
            "-",
            program,
            *options,
        ]
        started = subprocess.Popen([*command, "--remote-debugging-pipe"], pass_fds=(theirs_in, theirs_out))
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Browser(to, back)
        finally:
            os.close(to)
            started.terminate()
            started.wait(30)


@dataclass
class Checked:
    """What was found about one page."""

    name: str
    kilobytes: float
    seconds: float
    sheets: int = 0
    faults: list[str] = field(default_factory=list)


def checked(tab: Browser, page: Path, out: Path) -> Checked:
    """Check one page in every width, both themes and on paper; write its pictures."""
    tab.media()
    tab.size(1400)
    found = Checked(page.stem, page.stat().st_size / 1e3, tab.open(page))
    tab.run(CHECKS.read_text(encoding="utf-8"))
    for width in WIDTHS:
        tab.size(width)
        for theme in ("light", "dark"):
            tab.media(theme=theme)
            found.faults += [
                f"{width} {theme} {fault}" for fault in tab.check("overflow", "overlap", "contrast")
            ]
            tab.screenshot(out / f"{page.stem}_{width}_{theme}.png")
    tab.media()
    found.faults += tab.check("access", "sort", "filter", "toggle")
    tab.size(PAPER_PX)
    tab.media(theme="dark", kind="print")
    found.faults += [f"print {fault}" for fault in tab.check("overflow", "paper")]
    # Printed as a user does: from a wide window, drawn anew for the sheet.
    tab.size(1400)
    tab.media(kind="")
    found.faults += [f"print {fault}" for fault in tab.check("drawn_for_paper")]
    found.sheets = tab.pdf(out / f"{page.stem}.pdf")
    found.faults += [f"console: {fault}" for fault in tab.faults()]
    return found


def main() -> int:
    """Check the pages, print what was found, and return 1 if anything was."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="*", type=Path, help="folders of further studies")
    parser.add_argument("--out", type=Path, default=Path("report_browser"), help="where pictures and PDFs go")
    parser.add_argument("--program", default="chromium", help="the browser")
    parser.add_argument(
        "--kinds", nargs="*", default=list(report_studies.KINDS), help="kinds of made-up studies"
    )
    parser.add_argument(
        "--picture", type=Path, help="write the top of the last page here, as WebP, and check nothing"
    )
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    pages = []
    with TemporaryDirectory() as folder:
        for kind in asked.kinds:
            report_studies.write(kind, Path(folder) / kind)
        for study in [*(Path(folder) / kind for kind in asked.kinds), *asked.studies]:
            page = asked.out / f"{study.resolve().name}.html"
            page.write_text(as_html(build_report(read_study(study))), encoding="utf-8")
            pages.append(page)
    print(hardware())
    with browser(asked.program) as tab:
        version = tab.call("Browser.getVersion", session=None)["product"]
        if asked.picture:
            tab.size(PICTURE_PX)
            tab.open(pages[-1])
            tab.picture(asked.picture, PICTURE_HIGH)
            return 0
        print(version)
        print("study\tkB\tdrawn in s\tsheets of A4\tfaults")
        faults = 0
        for page in pages:
            found = checked(tab, page, asked.out)
            faults += len(found.faults)
            print(
                f"{found.name}\t{found.kilobytes:.0f}\t{found.seconds:.2f}\t{found.sheets}\t{len(found.faults)}",
                flush=True,
            )
            for fault in found.faults:
                print(f"    {fault}")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
