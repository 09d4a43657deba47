from pathlib import Path
from typing import Any

import pytest

from pdsearch.cli.outcome import nothing_came
from pdsearch.errors import FailureLimitError, TrialError
from tests.search.scripted_trials import space
from tests.trial_records import finished

ALL = {"val_fraction": 0.0, "source": "digits", "subset": 100}
ONE: dict[str, Any] = {"space": {}, "prune": {"method": "magnitude", "ratio": 0.2}}
LISTED: dict[str, Any] = {"data": ALL, "space": {"prune.method": ["none"]}, "search": {"trials": 1}}


def failed(number: int | None = 0) -> Any:
    return finished(number, state="failed", reason="it broke")


@pytest.mark.parametrize(
    ("sections", "records", "error"),
    [
        ({}, [failed(0), failed(1)], FailureLimitError),
        ({}, [failed(0), finished(1)], None),
        ({}, [failed(0), finished(1, state="stopped")], None),
        ({}, [], None),
        (ONE, [failed()], TrialError),
        (ONE, [failed(), failed(None)], TrialError),
        (LISTED, [failed(None)], FailureLimitError),
        (LISTED, [finished(None)], None),
    ],
)
def test_what_came_of_a_study(
    tmp_path: Path, sections: dict[str, Any], records: list[Any], error: type[Exception] | None
) -> None:
    found = nothing_came(records, space(tmp_path, **sections))
    assert type(found) is (type(None) if error is None else error)
    assert found is None or "it broke" in str(found)
