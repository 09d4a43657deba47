"""How long has a study run in all? Seconds over all its runs, for a timeout that a resume does not reset."""

import json
import os
import time
from pathlib import Path

from pdsearch.durable import storage_errors

__all__ = ["Clock"]

_SAVE_EVERY_S = 5.0


class Clock:
    """Seconds that drivers have worked on a study, this one included; a killed driver loses a few at most."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = self._read()
        self._start = self._saved = time.monotonic()

    def seconds(self) -> float:
        """Return the seconds so far, saving them now and then."""
        moment = time.monotonic()
        total = self._before + moment - self._start
        if moment - self._saved >= _SAVE_EVERY_S:
            self._saved = moment
            self.save(total)
        return total

    def save(self, total: float | None = None) -> None:
        """Write the seconds so far."""
        total = self._before + time.monotonic() - self._start if total is None else total
        fresh = self._path.with_name(f".{self._path.name}.tmp")
        with storage_errors(self._path):
            fresh.write_text(json.dumps({"seconds": round(total, 3)}))
            os.replace(fresh, self._path)

    def _read(self) -> float:
        with storage_errors(self._path):
            try:
                return float(json.loads(self._path.read_text())["seconds"])
            except (FileNotFoundError, ValueError, KeyError, TypeError):
                return 0.0
