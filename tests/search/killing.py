"""Death of a driver before or after any one of its writes: to the journal, or of a record."""

from typing import Any

import pytest

from pdsearch.io.record_files import write_once
from pdsearch.search.optuna_backend.journal import Journal


class Killed(BaseException):
    """The driver is gone; nothing it had in memory is used again."""


def kill_at(patch: pytest.MonkeyPatch, write: int, *, after: bool) -> list[int]:
    """Kill the driver at its n-th write from now (from 1), before it happens or just after; return the count."""
    count = [0]

    def counted(function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            count[0] += 1
            if count[0] == write and not after:
                raise Killed
            value = function(*args, **kwargs)
            if count[0] == write:
                raise Killed
            return value

        return call

    patch.setattr(Journal, "append_logs", counted(Journal.append_logs))
    patch.setattr("pdsearch.search.records.write_once", counted(write_once))
    return count
