"""What is left of a Ray trial that computes nothing? Our worker, its jobs answered from a formula."""

from collections.abc import Generator
from typing import Any

from benchmarks.scripted import answers
from pdsearch.cluster.trainable import JobTrainable
from pdsearch.events import Event

__all__ = ["Played"]


class Played(JobTrainable):
    """A worker that answers at once."""

    def _begin(self, config: dict[str, Any]) -> None:
        super()._begin(config)
        if self._job is not None:
            self._events: Generator[Event, None, None] = answers(self._job)
