"""What a full disk loses: a small file system in memory, filled to the last byte while a search runs.

Runs with and without Ray in turns, each on the study the last one left: the file system is filled at a drawn moment,
the run has to end by itself with exit code 75 and the words to go on with; then space is made, and the records are
compared with those before. At the end the study is run to its end and looked at deeply. Needs root, or user namespaces.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.campaign import ending, options, publish, same
from benchmarks.program import Program, wait
from pdsearch.search.verify import check_invariants

START_S, END_S = 600, 300
INSIDE = "PDSEARCH_FULL_DISK_INSIDE"


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a file system of a size below a folder."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Take all the space there is, and return what takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        for size in (2**20, 2**12, 1):
            with suppress(OSError):
                while file.write(b"\0" * size):
                    continue
    return ballast


def full(program: Program, disk: Path, drawn: random.Random, words: tuple[str, ...]) -> dict[str, Any]:
    """Fill the disk while the program runs, and make space when it has ended."""
    asked, process = program.asked(), program.start(*words)
    wait(START_S, lambda: program.asked() > asked, process)
    time.sleep(drawn.uniform(0, 10))
    before, began = program.finished(), time.monotonic()
    ballast = fill(disk)
    try:
        code = process.wait(END_S)
    finally:
        seconds = round(time.monotonic() - began, 1)
        ballast.unlink()
    if code != 75 or program.lines("Traceback"):
        print(program.said.read_text(errors="replace"), file=sys.stderr)
    return {
        "with": "Ray" if not words else "--serial",
        "exit code": code,
        "seconds until it ended": seconds,
        "says what to do": program.lines("run the same command again"),
        "tracebacks": program.lines("Traceback"),
        "finished before": len(before),
        "lost or changed": not same(before, program.finished()),
        "broken": [str(item) for item in check_invariants(program.study) if not item.mended],
        "left": program.left(),
    }


def campaign(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Fill the disk n times."""
    drawn, began = random.Random(asked.seed), time.monotonic()
    with small_disk(folder, asked.megabytes) as disk:
        program, seen = Program(folder, str(disk / "runs")), []
        for number in range(asked.n):
            seen.append(full(program, disk, drawn, ("--serial",) if asked.serial or number % 2 else ()))
            print(seen[-1], file=sys.stderr)
        before = program.finished()
        code = program.end()
        after = program.finished()
        return {
            "finished trials lost, changed or repeated": sum(each["lost or changed"] for each in seen)
            + (not same(before, after)),
            **ending(program.study),
            "exit code of the last run": code,
            "times": seen,
            "minutes": round((time.monotonic() - began) / 60, 1),
        }


def main(words: Sequence[str] | None = None) -> None:
    """Run a campaign."""
    parser = options(__doc__, n=6)
    parser.add_argument("--serial", action="store_true", help="never on Ray")
    parser.add_argument("--megabytes", type=int, default=400, help="size of the file system")
    asked = parser.parse_args(words)
    if os.geteuid() != 0 and INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        again = [sys.executable, "-m", "benchmarks.full_disk", *(sys.argv[1:] if words is None else words)]
        os.execvp("unshare", ["unshare", "--map-root-user", "--mount", *again])
    folder = Path(tempfile.mkdtemp(prefix="full-", dir="/tmp"))
    try:
        result = campaign(folder, asked)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    publish("full_disk", result, asked)


if __name__ == "__main__":
    main()
