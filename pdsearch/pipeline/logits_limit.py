"""The share of the store that teachers' logits may take, over all trials and studies."""

import time

from pdsearch.artifacts import ArtifactStore

__all__ = ["Shelf"]

RECOUNT_S = 60.0
"""Between two counts a worker knows of its own additions only, so that the limit may be passed by a minute's work."""


class Shelf:
    """The outputs in a store, as one worker sees them.

    Args:
        store: Shared with other workers.
        limit_bytes: Of all outputs together.
    """

    def __init__(self, store: ArtifactStore, limit_bytes: int) -> None:
        self._store, self._limit = store, limit_bytes
        self._used, self._counted = 0, -RECOUNT_S

    def take(self, size: int) -> bool:
        """Set bytes aside for one more entry; False where the limit would be passed."""
        moment = time.monotonic()
        if moment - self._counted >= RECOUNT_S:
            self._used, self._counted = self._store.used("outputs"), moment
        fits = self._used + size <= self._limit
        self._used += size if fits else 0
        return fits
