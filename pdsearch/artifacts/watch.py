"""Is the owner of a lease gone? Known at once where it ran here; elsewhere its counter has stood still for a while."""

import time

from pdsearch.artifacts.lease_file import parse
from pdsearch.artifacts.owner import is_dead

__all__ = ["Watch"]


class Watch:
    """What one waiting process has seen of a lease; on its own clock, so that no clocks are compared.

    Args:
        window_s: Seconds without movement after which an owner we know nothing of counts as gone.
    """

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self._seen: tuple[bytes, float] | None = None

    def gone(self, content: bytes) -> bool:
        """Look at the lease's bytes once more and say whether its owner is gone."""
        owner = parse(content)
        if owner is not None and is_dead(owner):
            return True
        if self._seen is None or self._seen[0] != content:
            self._seen = (content, time.monotonic())
        return time.monotonic() - self._seen[1] >= self.window_s

    def moved(self, content: bytes) -> bool:
        """Say whether the lease is another one than when its owner was first seen: the owner is alive."""
        return self._seen is not None and content != self._seen[0]

    def forget(self) -> None:
        """Begin again: for a while nothing could be seen, and no owner could have moved."""
        self._seen = None
