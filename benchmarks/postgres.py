"""What a study in PostgreSQL loses or repeats: a server of its own on loopback, killed, emptied and shut out.

Needs a PostgreSQL server's programs and `pip install 'pdsearch[postgres]'`. Trials answer at once: what is tried is
the ledger. As root, the server runs as the user nobody, since PostgreSQL refuses root.
"""

import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.campaign import finished, options, publish, same
from benchmarks.scripted import SPACE, answers
from pdsearch.config import load
from pdsearch.errors import StorageError
from pdsearch.observer import Observer
from pdsearch.protocol import Outcome, Work
from pdsearch.search.study import open_as_driver
from pdsearch.search.verify import check_invariants

PROGRAMS = "/usr/lib/postgresql"
CHILD = "benchmarks.postgres"


class Server:
    """A PostgreSQL server in a folder, reached with a password."""

    def __init__(self, folder: Path) -> None:
        self.bin = max(Path(PROGRAMS).glob("*/bin"), key=lambda path: int(path.parent.name))
        self.data, self.user = folder / "data", "nobody" if os.geteuid() == 0 else None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"postgresql://search@127.0.0.1:{self.port}/postgres"
        word = folder / "password"
        word.write_text(os.environ["PGPASSWORD"])
        if self.user:
            subprocess.run(["chown", "-R", self.user, folder], check=True)
        self._call(
            self.bin / "initdb", "-D", self.data, "-A", "scram-sha-256", "-U", "search", "--pwfile", word
        )

    def start(self) -> None:
        """Start it and return when it answers."""
        where = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.data}"
        log = self.data / "server.log"
        self._call(self.bin / "pg_ctl", "-D", self.data, "-w", "-l", log, "-o", where, "start")

    def stop(self) -> None:
        """End it at once, as a crash would."""
        self._call(self.bin / "pg_ctl", "-D", self.data, "-m", "immediate", "stop")

    def execute(self, statement: str) -> None:
        """Run SQL."""
        self._call(self.bin / "psql", self.url, "-qc", f"set client_min_messages = error; {statement}")

    def _call(self, *words: Any) -> None:
        command = [str(word) for word in words]
        subprocess.run(command, check=True, user=self.user, cwd="/", stdout=subprocess.DEVNULL)


@contextmanager
def server() -> Iterator[Server]:
    """Run a server for as long as the block."""
    os.environ["PGPASSWORD"] = secrets.token_hex(8)
    with tempfile.TemporaryDirectory() as name:
        made = Server(Path(name))
        made.start()
        try:
            yield made
        finally:
            made.stop()


def play(work: Work, pause_s: float) -> None:
    """Run all work, a moment after each trial."""
    while (job := work.next()) is not None:
        for event in answers(job):
            if isinstance(event, Outcome):
                work.finish(job, event)
            else:
                work.tell(job, event)
        time.sleep(pause_s)


def study(file: Path, pause_s: float = 0.0) -> None:
    """Run a study to its end."""
    with open_as_driver(load(file), Observer()) as opened:
        play(opened.scheduler, pause_s)


def write(folder: Path, ledger: str, trials: int) -> Path:
    """Write a space and return its file."""
    text = SPACE.format(trials=trials, sampler="tpe", epochs=3, storage=folder / "runs")
    file = folder / "space.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text.replace("search: {", f"search: {{ledger: '{ledger}', "))
    return file


def killed(file: Path, after_s: float) -> bool:
    """Start a driver and kill it; True if it was still running."""
    child = subprocess.Popen([sys.executable, "-m", CHILD, "--child", file])
    try:
        child.wait(after_s)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
    return child.wait() == -signal.SIGKILL


def tried(folder: Path, here: Server, *, trials: int, kills: int, seed: int) -> dict[str, Any]:
    """Do all of it; return what was seen."""
    beside, file = write(folder / "beside", "journal", trials), write(folder / "study", here.url, trials)
    where, drawn = folder / "study" / "runs" / "scripted", random.Random(seed)
    study(beside)
    seen: dict[str, Any] = {"trials": trials, "kills": 0, "lost or repeated": 0, "broken": 0}
    for _ in range(kills):
        before = finished(where)
        seen["kills"] += killed(file, 3 + drawn.uniform(0, 6))
        seen["lost or repeated"] += not same(before, finished(where))
    study(file)
    before = finished(where)
    seen["broken"] += len(check_invariants(where, deep=True))
    here.execute("drop schema public cascade; create schema public")
    study(file)
    seen["written anew after the tables were dropped"] = finished(where) == before
    more = write(folder / "study", here.url, trials + 20)
    went_on = subprocess.Popen([sys.executable, "-m", CHILD, "--child", more])
    while len(finished(where)) < len(before) + 3 and went_on.poll() is None:
        time.sleep(0.1)
    here.stop()
    time.sleep(3)
    here.start()
    seen["went on after the server crashed and came back"] = f"exit code {went_on.wait()}"
    study(more)
    seen["broken"] += len(check_invariants(where, deep=True))
    seen["finished"] = len(finished(where))
    seen["repeated"] = len(finished(where)) - len({r["key"] for r in finished(where).values()})
    seen["files with the password"] = _with_password(folder)
    seen["a wrong password"] = _refused(file)
    return seen


def _with_password(folder: Path) -> int:
    word = os.environ["PGPASSWORD"].encode()
    return sum(word in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def _refused(file: Path) -> str:
    right, os.environ["PGPASSWORD"] = os.environ["PGPASSWORD"], "wrong-and-secret"
    try:
        study(file)
    except StorageError as error:
        return f"exit code {error.exit_code}" + (
            ", SHOWN" if "wrong-and-secret" in str(error) else ", not shown"
        )
    finally:
        os.environ["PGPASSWORD"] = right
    return "NOT REFUSED"


def main(words: Sequence[str] | None = None) -> None:
    """Run the campaign, or, as its child, one study."""
    parser = options(__doc__, n=20)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--child", type=Path, help="run the study of this space and end")
    asked = parser.parse_args(words)
    if asked.child:
        try:
            study(asked.child, pause_s=0.1)
        except StorageError as error:
            print(error, file=sys.stderr)
            sys.exit(error.exit_code)
        return
    with server() as here, tempfile.TemporaryDirectory() as name:
        seen = tried(Path(name), here, trials=asked.trials, kills=asked.n, seed=asked.seed)
    publish("postgres", seen, asked)


if __name__ == "__main__":
    main()
