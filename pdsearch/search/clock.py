"""How long has a study run in all? Seconds over all its runs, for a timeout that a resume does not reset."""

import json
import time
from contextlib import suppress

from pdsearch.errors import StorageError
from pdsearch.storage import Place, Remote, read, replace

__all__ = ["Clock"]

_SAVE_EVERY_S, _STORE_EVERY_S = 5.0, 30.0


class Clock:
    """Seconds that drivers have worked on a study, this one included; a killed driver loses a few at most."""

    def __init__(self, path: Place) -> None:
        self._path = path
        self._every = _STORE_EVERY_S if isinstance(path, Remote) else _SAVE_EVERY_S
        self._before = self._read()
        self._start = self._saved = time.monotonic()

    def seconds(self) -> float:
        """Return the seconds so far, saving them now and then."""
        moment = time.monotonic()
        total = self._before + moment - self._start
        if moment - self._saved >= self._every:
            self._saved = moment
            self.save(total)
        return total

    def save(self, total: float | None = None) -> None:
        """Write the seconds so far."""
        replace(self._path, self._content(total))

    def close(self) -> None:
        """Write them if that can be done at once: a run that ends waits for no storage, and a few may be lost."""
        with suppress(StorageError):
            replace(self._path, self._content(), hasty=True)

    def _content(self, total: float | None = None) -> bytes:
        total = self._before + time.monotonic() - self._start if total is None else total
        return json.dumps({"seconds": round(total, 3)}).encode()

    def _read(self) -> float:
        try:
            return float(json.loads(read(self._path) or b"")["seconds"])
        except (ValueError, KeyError, TypeError):
            return 0.0
