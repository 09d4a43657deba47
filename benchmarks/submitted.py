"""A search as a job of a cluster: submitted with Ray's own command, heard through its log, stopped and asked after."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.raylets import Raylets

ROOT = Path(__file__).parents[1]


class Heard:
    """One line of a job's log, and when it was seen (monotonic seconds)."""

    def __init__(self, at: float, line: str) -> None:
        self.at, self.line = at, line
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        self.event: dict[str, Any] = found if isinstance(found, dict) else {}

    @property
    def note(self) -> str:
        """What the driver says beside its trials; "" for any other line."""
        return str(self.event.get("text", "")) if self.event.get("event") == "note" else ""

    @property
    def works(self) -> bool:
        """Whether it says that a trial got on: an epoch of whatever stage."""
        return self.event.get("event") in ("progress", "report") and bool(self.event.get("epoch"))


class Submitted:
    """One submission of the command that searches.

    Args:
        cluster: Where it runs; it has a dashboard.
        space: The space file, in a folder that is sent with the job.
        name: Of the job; each submission has its own.
        words: More words of the command.
    """

    def __init__(self, cluster: Raylets, space: Path, name: str, words: Sequence[str] = ()) -> None:
        self.cluster, self.name = cluster, name
        self.heard: list[Heard] = []
        self._read, self._rest = 0, b""
        command = [sys.executable, "-m", "pdsearch", "run", space.name, "--address", "auto"]
        runtime = json.dumps({"env_vars": {"PYTHONPATH": str(ROOT)}})
        options = ["--no-wait", "--working-dir", str(space.parent), "--runtime-env-json", runtime]
        options += ["--submission-id", name, "--"]
        self._ray_job("submit", *options, *command, "--progress", "json", *words)
        self.began = time.monotonic()

    def stop(self) -> None:
        """Stop it, as a person would."""
        self._ray_job("stop", "--no-wait", self.name)

    @property
    def status(self) -> str:
        """What Ray says of it: PENDING, RUNNING, SUCCEEDED, FAILED, STOPPED."""
        token = self.cluster.environment["RAY_AUTH_TOKEN"]
        asked = urllib.request.Request(
            f"{self.cluster.jobs}/api/jobs/{self.name}", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return str(json.load(answer)["status"])

    def hear(self) -> list[Heard]:
        """Read on in its log; return everything heard so far."""
        for path in self.cluster.folder.glob(f"ray/session_2*/logs/job-driver-{self.name}.log"):
            with path.open("rb") as stream:
                stream.seek(self._read)
                new = stream.read()
            self._read += len(new)
            *lines, self._rest = (self._rest + new).split(b"\n")
            self.heard += [Heard(time.monotonic(), line.decode(errors="replace")) for line in lines]
        return self.heard

    def pause(self, seconds: float) -> None:
        """Let it work for a while, hearing on."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.hear()
            time.sleep(0.05)

    def until(self, seen: Callable[[], Any], seconds: float, what: str, *, alive: bool = True) -> Any:
        """Wait for something, hearing on; return it.

        Raises:
            SystemExit: It did not come, or the job ended first.
        """
        end, ask = time.monotonic() + seconds, time.monotonic() + 5
        while not (found := seen()):
            self.hear()
            if time.monotonic() > ask and alive:
                ask = time.monotonic() + 5
                if self.status not in ("PENDING", "RUNNING"):
                    self._give_up(f"the job ended, {self.status}, before {what}")
            if time.monotonic() > end:
                self._give_up(f"no {what} within {seconds:g} s")
            time.sleep(0.05)
        return found

    def _give_up(self, why: str) -> None:
        heard = self.hear()
        rare = [f"{h.at - self.began:.1f} s  {h.line}" for h in heard if not h.works or h is heard[-1]]
        last = "\n".join(rare[-40:])
        raise SystemExit(f"{self.name}: {why}\n{last}")

    def _ray_job(self, verb: str, *words: str) -> None:
        program = [sys.executable, "-m", "ray.scripts.scripts", "job", verb, "--address", self.cluster.jobs]
        for _ in range(60):  # A head that has just started may have no dashboard or no agent for jobs yet.
            done = subprocess.run(
                [*program, *words], env=self.cluster.environment, capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                return
            if not any(words in done.stderr for words in ("try again later", "Failed to connect")):
                break
            time.sleep(2)
        raise SystemExit(f"ray job {verb}: {done.stdout}{done.stderr}")
