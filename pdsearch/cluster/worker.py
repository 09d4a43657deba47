"""The Tune trainable of a worker, which runs one job after another in a warm actor."""

import json
import time
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import ray
import torch
from ray import tune

from pdsearch.artifacts import open_store
from pdsearch.cluster.messages import as_result, batch, refused
from pdsearch.cluster.node_checks import refusal_of
from pdsearch.cluster.own_folder import OwnFolder
from pdsearch.errors import StorageError
from pdsearch.io import place as at
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.trial import patiently
from pdsearch.protocol import Event, Job, Outcome, refusal
from pdsearch.records.codec import decode
from pdsearch.training.device import keep_freed_memory, pick_device
from pdsearch.user_code import look_in

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.32


class JobTrainable(tune.Trainable):
    """Runs the job of its configuration, or rests; keeps its `WorkerContext` (data, teachers) between jobs."""

    def __init__(self, *words: Any, **named: Any) -> None:
        """Change to a directory of its own, before Tune asks for the current one."""
        folder = ray.get_runtime_context().runtime_env.working_dir()
        self._own = OwnFolder(sent=bool(folder) and not folder.startswith("local:"))
        self._own.stay()
        super().__init__(*words, **named)

    def setup(self, config: dict[str, Any]) -> None:
        """Set up the site, once per actor, and begin the first job."""
        place = config["place"]
        self._pause: float = _FIRST_PAUSE_S
        look_in(*place.get("code", ()))
        self._refusal = refusal_of(place.get("node"))
        torch.set_num_threads(place["threads"])
        keep_freed_memory()
        self._site = WorkerContext(
            open_store(at(place["artifacts"])),
            at(place["progress"]),
            device=pick_device(place["gpu"] if self._refusal is None else 0),
            logs=at(place["logs"]),
            patience_s=place["patience_s"],
            graphs=place["graphs"],
        )
        self._begin(config)

    def step(self) -> dict[str, Any]:
        """Return the next events of the job."""
        if self._refusal is not None:
            time.sleep(_LONGEST_PAUSE_S)
            return refused(self._refusal)
        if self._job is None:
            time.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
            return as_result([])
        try:
            return as_result(batch(self._events, self._job.decide_at))
        except StorageError as error:
            # Neither the job's fault nor this worker's: the driver ends the run with the reason.
            return as_result([Outcome(refusal(error), str(error))])

    def reset(self, new_config: dict[str, object], storage: object = None) -> bool:
        """Begin another job, in a directory that exists, since Tune asks for the current one."""
        self._own.stay()
        return bool(super().reset(new_config, storage=storage))  # type: ignore[no-untyped-call]  # Tune has no types here

    def reset_config(self, new_config: dict[str, object]) -> bool:
        """Leave the last job, finished or not, and begin another."""
        self._leave()
        self._begin(new_config)
        return True

    def cleanup(self) -> None:
        """Close the last job and remove this worker's own directory."""
        self._leave()
        self._own.close()

    def _leave(self) -> None:
        with suppress(StorageError):  # Some seconds of progress could not be saved; the driver knows why.
            self._events.close()

    def _begin(self, config: dict[str, Any]) -> None:
        self._pause = _FIRST_PAUSE_S
        self._job: Job | None = decode(Job, json.loads(config["job"])) if config["job"] else None
        self._events: Generator[Event, None, None] = (
            _nothing() if self._job is None else patiently(self._job, self._site)
        )


def _nothing() -> Generator[Event, None, None]:
    yield from ()
