"""Ray workers that train nothing: their jobs are answered from a formula, at once or a second an epoch."""

import os
import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import ray.util

from benchmarks.scripted import answers
from pdsearch.cluster.worker import JobTrainable
from pdsearch.protocol import Event, Job, Outcome, Report


class Played(JobTrainable):
    """A worker that answers at once; of a GPU it only holds its share, and need not have one."""

    def setup(self, config: dict[str, Any]) -> None:
        """Set up a place of work on the CPU."""
        super().setup({**config, "place": {**config["place"], "gpu": 0}})

    def _begin(self, config: dict[str, Any]) -> None:
        super()._begin(config)
        if self._job is not None:
            self._events: Generator[Event, None, None] = self.answers(self._job)

    @staticmethod
    def answers(job: Job) -> Generator[Event, None, None]:
        """Yield what a trained trial would have said."""
        return answers(job)


class Waiting(Played):
    """A worker that waits a second an epoch; its outcome says where it was, on which GPU, and from when to when."""

    @staticmethod
    def answers(job: Job) -> Generator[Event, None, None]:
        """Yield what a trained trial would have said, a second an epoch."""
        began = time.time()
        for event in answers(job):
            if isinstance(event, Report):
                time.sleep(1)
            if not isinstance(event, Outcome):
                yield event
                continue
            where = ray.util.get_node_ip_address()
            device = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            times = {"began": began, "ended": time.time()}
            yield replace(event, host=where, device=device, values={**event.values, **times})
