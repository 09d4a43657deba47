"""What a search on Ray with everything on S3 loses or repeats when its driver or the storage fails.

A real S3 server on loopback (moto), two workers on a local Ray, three faults, each in a run that goes on where the last
one ended: `kill`, SIGKILL of the driver; `pause`, a server that accepts and does not answer for a while; `gone`, one
that refuses connections until the run gives up, and is there again for the next. After each the records are compared
with those before, and `check_invariants` looks at the study. At the end it is run to its end and looked at deeply.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.campaign import ending, options, publish, same
from benchmarks.program import Program, wait
from pdsearch.search.verify import check_invariants
from tests.s3_gate import Gate
from tests.s3_server import SECRET, S3Server, environment

START_S, END_S = 600, 300
WAITING, BACK = "waiting for the storage", "the storage answers again"


@dataclass
class Seen:
    """What a campaign has seen so far."""

    lost_or_changed: int = 0
    broken: list[str] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)


def at_work(program: Program, drawn: random.Random) -> "subprocess.Popen[bytes]":
    """Start the program and wait until trials run, for a drawn while."""
    asked, process = program.asked(), program.start()
    wait(START_S, lambda: program.asked() >= asked + 2, process)
    time.sleep(drawn.uniform(0, 10))
    return process


def kill(program: Program, drawn: random.Random, _: S3Server, __: Gate) -> dict[str, Any]:
    """Kill the driver."""
    process = at_work(program, drawn)
    process.kill()
    code = process.wait()
    # Its folder of temporary files goes with the next run.
    return {"exit code": code, "left": [name for name in program.left() if not name.startswith("pds-")]}


def pause(program: Program, drawn: random.Random, server: S3Server, _: Gate) -> dict[str, Any]:
    """Have the server answer nothing for a while; see the run go on, then end it."""
    process, seconds = at_work(program, drawn), round(drawn.uniform(15, 40), 1)
    with server.paused():
        time.sleep(seconds)
    before = len(program.finished())
    wait(START_S, lambda: len(program.finished()) >= before + 2, process)
    process.send_signal(signal.SIGTERM)
    code = process.wait(END_S)
    told = {"lines that it waits": program.lines(WAITING), "that it is back": program.lines(BACK)}
    return {"paused for, s": seconds, "exit code": code, **told, "left": program.left()}


def gone(program: Program, drawn: random.Random, _: S3Server, gate: Gate) -> dict[str, Any]:
    """Have the server refuse connections until the run ends."""
    process = at_work(program, drawn)
    gate.shut()
    began = time.monotonic()
    code = process.wait(END_S)
    seconds = round(time.monotonic() - began, 1)
    gate.open()
    print(program.said.read_text(errors="replace"), file=sys.stderr)
    return {
        "exit code": code,
        "seconds until it ended": seconds,
        "lines that it waits": program.lines(WAITING),
        "says what to do": program.lines("run the same command again"),
        "tracebacks": program.lines("Traceback"),
        "left": program.left(),
    }


FAULTS = {"kill": kill, "pause": pause, "gone": gone}


def campaign(program: Program, server: S3Server, gate: Gate, asked: argparse.Namespace) -> Seen:
    """Let each fault happen n times, in turns."""
    seen, drawn = Seen(), random.Random(asked.seed)
    for number in range(asked.n):
        for name in asked.faults:
            before = program.finished() if number or seen.faults else {}
            found = FAULTS[name](program, drawn, server, gate)
            after = program.finished()
            seen.lost_or_changed += not same(before, after)
            seen.broken += [str(item) for item in check_invariants(program.study) if not item.mended]
            seen.faults.append({"fault": name, **found})
            print(f"{len(seen.faults)}: {seen.faults[-1]}; {len(after)} finished", file=sys.stderr)
    return seen


def main(words: Sequence[str] | None = None) -> None:
    """Run a campaign."""
    parser = options(__doc__, n=3)
    parser.add_argument("--faults", nargs="+", choices=[*FAULTS], default=[*FAULTS], help="which, in turns")
    asked = parser.parse_args(words)
    folder, began = Path(tempfile.mkdtemp(prefix="s3-", dir="/tmp")), time.monotonic()
    os.environ.update(environment(str(folder)))
    with S3Server() as server, Gate(server.port) as gate:
        server.make_bucket("campaign")
        url = f"s3://campaign/runs?endpoint_override=127.0.0.1:{gate.port}&scheme=http"
        program = Program(folder, url)
        seen = campaign(program, server, gate, asked)
        before = program.finished()
        code = program.end()
        after = program.finished()
        result = {
            "finished trials lost, changed or repeated": seen.lost_or_changed + (not same(before, after)),
            "promises broken after a fault": seen.broken,
            **ending(program.study),
            "exit code of the last run": code,
            "left after it": program.left(),
            "the secret was said": SECRET in program.said.read_text(errors="replace"),
            "faults": seen.faults,
            "minutes": round((time.monotonic() - began) / 60, 1),
        }
    publish("s3_faults", result, asked)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
