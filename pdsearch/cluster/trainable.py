"""What runs in a worker? One job after another in a warm actor: step() is next(), whoever stops it closes it."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
from ray import tune

from pdsearch.artifacts import Store
from pdsearch.cluster.messages import batch, packed
from pdsearch.events import Event
from pdsearch.jobs import Job, job_from_json
from pdsearch.stages.site import Site
from pdsearch.training import pick_device
from pdsearch.trial import run_job

__all__ = ["JobTrainable"]


class JobTrainable(tune.Trainable):  # type: ignore[misc]  # ray has no types here
    """Runs the job of its configuration; keeps its site, and so data and teachers, from job to job."""

    def setup(self, config: dict[str, Any]) -> None:
        """Set up the place of work, once per actor, and begin the first job."""
        place = config["place"]
        torch.set_num_threads(place["threads"])
        self._site = Site(Store(place["artifacts"]), Path(place["progress"]), device=pick_device(place["gpu"]))
        self._begin(config)

    def step(self) -> dict[str, Any]:
        """Return the next events of the job."""
        return packed(batch(self._events, self._job.decide_at))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Leave the last job, finished or not, and begin another."""
        self._events.close()
        self._begin(new_config)
        return True

    def cleanup(self) -> None:
        """Leave the last job."""
        self._events.close()

    def _begin(self, config: dict[str, Any]) -> None:
        self._job: Job = job_from_json(json.loads(config["job"]))
        self._events: Generator[Event, None, None] = run_job(self._job, self._site)
