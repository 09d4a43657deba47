"""One driver of a study at a time, in a folder and on S3; the second is told who the first is."""

import json
import os
from pathlib import Path

import pytest

from pdsearch.artifacts import check_held, hold, lease_at
from pdsearch.artifacts.leases.owner import this_owner
from pdsearch.errors import StudyHeldError
from pdsearch.io import Place, place, read, replace
from tests.patient import until


@pytest.fixture(params=["folder", "s3"])
def where(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "folder":
        return tmp_path / "study" / "driver.lease"
    monkeypatch.setattr("pdsearch.artifacts.leases.study_lock._SETTLE_S", 0.01)
    bucket, server = request.getfixturevalue("bucket"), request.getfixturevalue("s3")
    return place(server.url(f"{bucket}/study/driver.lease"))


def test_a_second_driver_is_told_who_the_first_is(where: Place) -> None:
    held = pytest.raises(StudyHeldError, match=f"process {os.getpid()}")
    with hold(where, beat_s=0.05) as lease, held as caught, hold(where, poll_s=0.02):
        pytest.fail("two holders")
    assert caught.value.exit_code == 73
    assert not lease.held
    assert read(where) is None


@pytest.mark.parametrize("alive", [False, True])
def test_a_driver_that_died_here_is_replaced_at_once_and_a_silent_one_elsewhere_after_its_window(
    where: Place, alive: bool
) -> None:
    owner = this_owner().to_json()
    owner |= {"host": "elsewhere"} if alive else {"born": "1"}
    replace(where, json.dumps({**owner, "counter": "0"}).encode())
    with hold(where, window_s=0.3 if alive else 60, poll_s=0.05) as lease:
        assert lease.held
        found = lease_at(where).owner()
        assert found is not None
        assert found.born == this_owner().born


def test_a_driver_that_another_one_has_written_over_stops(where: Place) -> None:
    with hold(where, beat_s=0.05) as lease:
        check_held(lease, where)
        replace(where, json.dumps({**this_owner().to_json(), "host": "elsewhere", "counter": "0"}).encode())
        until(lambda: not lease.held)
        with pytest.raises(StudyHeldError, match="took the study over"):
            check_held(lease, where)
    assert read(where) is not None
