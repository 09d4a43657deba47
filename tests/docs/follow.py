"""A page followed to the letter in an empty folder: `python -m tests.docs.follow docs/first_hour.md`.

Blocks of `sh` run in bash; a block after a line that ends in "`FILE`:" becomes that file; other blocks of `python` run.
What installs is left out: a block after the comment `<!-- not followed -->`.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.architecture.tree import ROOT

BLOCK = re.compile(
    r"(?P<before>[^\n]*)\n+```(?P<kind>sh|python|yaml)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
NAMED = re.compile(r"`([\w./-]+)`:$")
SKIPPED = "<!-- not followed -->"


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Yield what each block of a page is, "sh", "python" or a file's name, with its text."""
    for found in BLOCK.finditer(page):
        if found["before"].strip() != SKIPPED:
            name = NAMED.search(found["before"])
            if name or found["kind"] != "yaml":
                yield (name[1] if name else found["kind"]), found["code"]


def follow(
    page: Path,
    folder: Path,
    *,
    within: float,
    instead: Callable[[str, str], bool] = lambda _kind, _text: False,
) -> None:
    """Do what a page says in a folder; raise at the first block that fails, or when the time is over.

    Args:
        page: The page.
        folder: The folder.
        within: Seconds for all of it.
        instead: Is given a block's kind, "sh" or "python", and its text; whether it did by itself what stands there.
    """
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": scripts, "PYTHONPATH": str(ROOT)}
    last = time.monotonic() + within
    for kind, text in blocks(page.read_text(encoding="utf-8")):
        if kind not in ("sh", "python"):
            (folder / kind).write_text(text, encoding="utf-8")
            continue
        if instead(kind, text):
            continue
        words = ["bash", "-euo", "pipefail", "-c"] if kind == "sh" else [sys.executable, "-c"]
        print(f"--- {kind}\n{text}", flush=True)
        began = time.monotonic()
        left = max(1.0, last - began)
        subprocess.run(
            [*words, text], cwd=folder, env=environment, check=True, timeout=left, stdin=subprocess.DEVNULL
        )
        print(f"--- {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--folder", type=Path, help="an empty folder, kept; a temporary one if not given")
    parser.add_argument("--minutes", type=float, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        follow(asked.page, asked.folder or Path(name), within=60 * asked.minutes)
