"""Tune's stopper: it ends a run that is done, or for which no worker starts in time, with the reason that Ray gives."""

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.tune import Stopper

from pdsearch.cluster.messages import Guarded
from pdsearch.cluster.slots import Workers
from pdsearch.errors import ClusterError

NODE_WITHIN_S = 3600.0
"""Timeout in seconds for a node that fits a trial to join: an autoscaler may be waiting for a machine."""

_WORKER_WITHIN_S = 900.0
"""Timeout in seconds for a worker to start on a node: Ray may first install a runtime environment, for ten minutes."""

_HERE_WITHIN_S = 300.0
"""The same for a local Ray, which has nothing to install."""

_SAY_AFTER_S = 10.0
_MOST_WORDS = 400
_SERIOUS = re.compile(r" [EFW] \d+ \d+\] (?:\([^)]*\) )?(?:[\w.]+:\d+: )?(.+)")
"""An error or warning in a log of Ray's core: [date E process thread] (name) file:line: message."""


class Arrival(Stopper):
    """Ends a run when all is done, even if trials wait for a worker, and one for which no worker starts.

    Invariant: the timeout counts from when the last worker was up.

    Args:
        work: The study's scheduler; at the timeout it ends with an error.
        workers: Tells whether any trial has a worker.
        folder: Session folder of a local Ray; None on a cluster.
        say: Tells the user what is being waited for.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        work: Guarded,
        workers: Workers,
        folder: Path | None,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work, self._workers, self._folder = work, workers, folder
        self._say, self._clock = say, clock
        self._since: float | None = None
        self._room, self._said = False, False

    def __getstate__(self) -> dict[str, object]:
        """Return nothing: Tune pickles its stoppers into a file that is never read."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, object]) -> bool:  # noqa: ARG002 - Tune's
        """Return False: the scheduler decides when a trial ends."""
        return False

    def stop_all(self) -> bool:
        """Check for workers and for the timeout; return whether the run has ended."""
        if not (self._work.done or self._work.closing):
            self._look()
        return self._work.done

    def _look(self) -> None:
        now, room = self._clock(), self._workers.fit > 0
        if self._workers.any_up:
            self._since = None
            return
        if self._since is None or room != self._room:
            self._since, self._room, self._said = now, room, False
        within = self._within(room)
        if now - self._since >= within:
            self._work.give_up(away(room, within, self._folder))
        elif now - self._since >= _SAY_AFTER_S and not self._said:
            self._said = True
            what = "a worker to start" if room else "a node with room for a trial"
            self._say(f"waiting for {what}; without one within {within / 60:.0f} min the run ends")

    def _within(self, room: bool) -> float:
        if not room:
            return NODE_WITHIN_S
        return _WORKER_WITHIN_S if self._folder is None else _HERE_WITHIN_S


def away(room: bool, within_s: float, folder: Path | None) -> ClusterError:
    """Return the error of a run for which no worker started.

    Args:
        room: Whether some node fits a trial.
        within_s: Seconds that were waited.
        folder: Session folder of a local Ray; None on a cluster.
    """
    what = "no worker started" if room else "no node with room for a trial joined"
    return ClusterError(
        f"{what} within {within_s / 60:.0f} min: {reason_of_ray(folder)}",
        hint="nothing finished is lost: mend what Ray says, and run the same command again",
    )


def reason_of_ray(folder: Path | None) -> str:
    """Return Ray's reason why no worker starts.

    Args:
        folder: Session folder of a local Ray; None on a cluster, whose autoscaler is asked.
    """
    told = _of_autoscaler() if folder is None else _of_log(folder)
    return " ".join(told.split())[:_MOST_WORDS] or "Ray gave no reason"


def _of_log(folder: Path) -> str:
    """Return the last error or warning in the log of the raylet, which starts workers."""
    lines: list[str] = []
    for path in folder.glob("session_latest/logs/raylet.out"):
        with suppress(OSError):
            lines += path.read_text(errors="replace").splitlines()
    found = (match for line in reversed(lines) if (match := _SERIOUS.search(line)))
    return next((match[1] for match in found), "")


def _of_autoscaler() -> str:
    """Return the autoscaler's own error, or else its report of the nodes that it could not start."""
    import ray
    from ray._private import ray_constants
    from ray.experimental.internal_kv import _internal_kv_get

    told: dict[str, bytes | None] = {}
    for name in (ray_constants.DEBUG_AUTOSCALING_ERROR, ray_constants.DEBUG_AUTOSCALING_STATUS):
        with suppress(ray.exceptions.RayError, RuntimeError, OSError):
            told[name] = _internal_kv_get(name.encode())
    error = (told.get(ray_constants.DEBUG_AUTOSCALING_ERROR) or b"").decode(errors="replace").strip()
    if error:
        return f"its autoscaler failed: {error.splitlines()[-1]}"
    try:
        status = json.loads(told.get(ray_constants.DEBUG_AUTOSCALING_STATUS) or b"{}")
    except ValueError:
        return ""
    return _refused(status) if isinstance(status, dict) else ""


def _refused(status: dict[str, Any]) -> str:
    """Return the failed and pending nodes of an autoscaler's report, with the reasons."""
    report = status.get("autoscaler_report") or {}
    summary = (report.get("node_availability_summary") or {}).get("node_availabilities") or {}
    told = []
    for kind, record in summary.items():
        why = record.get("unavailable_node_information") or {}
        if why:
            told.append(f"{kind}: {why.get('category')} ({why.get('description')})")
    told += [f"{kind} at {address} failed" for address, kind in report.get("failed_nodes") or ()]
    pending = report.get("pending_nodes") or ()
    told += [f"{kind} is {state}" for _address, kind, state in pending]
    return "its autoscaler says: " + "; ".join(told) if told else ""
