"""Size limit of the stored teacher logits, over all trials and studies of a store."""

import time

from pdsearch.artifacts import ArtifactStore

__all__ = ["LogitsLimit"]

RECOUNT_S = 60.0
"""Between two counts a worker sees only its own additions, so that the limit may be exceeded by a minute's work."""


class LogitsLimit:
    """The total size of the outputs in a store, as one worker knows it, and its limit.

    Args:
        store: The store, shared with other workers.
        limit_bytes: Limit for all outputs together.
    """

    def __init__(self, store: ArtifactStore, limit_bytes: int) -> None:
        self._store, self._limit = store, limit_bytes
        self._used, self._counted = 0, -RECOUNT_S

    def take(self, size: int) -> bool:
        """Reserve bytes for one more entry; False if the limit would be exceeded."""
        moment = time.monotonic()
        if moment - self._counted >= RECOUNT_S:
            self._used, self._counted = self._store.used("outputs"), moment
        fits = self._used + size <= self._limit
        self._used += size if fits else 0
        return fits
