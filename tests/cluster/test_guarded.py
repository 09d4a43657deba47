import pytest

from pdsearch.cluster.guarded import Guarded
from pdsearch.errors import StorageFullError
from pdsearch.protocol import Outcome, Report
from tests.pipeline.digits import ALONE, distilled, job
from tests.pipeline.given import Given

JOBS = [job(distilled(ALONE, seed=n), id=f"job-{n}") for n in range(2)]
FULL = StorageFullError("no space is left")


@pytest.mark.parametrize("error", [FULL, KeyError("a defect")], ids=["refusal", "defect"])
@pytest.mark.parametrize("method", ["next", "tell", "finish"])
def test_an_error_is_kept_and_ends_the_work(
    method: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error

    guarded = Guarded(Given(list(JOBS)))
    first = guarded.next()
    assert first is not None
    assert not guarded.done
    monkeypatch.setattr(Given, method, refuse)
    guarded.tell(first, Report(1, 2, 0.5, 1.0))
    guarded.finish(first, Outcome("complete"))
    assert guarded.next() is None
    assert guarded.error is error
    assert guarded.done
    assert guarded.tell(first, Report(2, 2, 0.5, 1.0)), "what runs is stopped"


def test_without_an_error_it_is_the_work_itself() -> None:
    work = Given(list(JOBS))
    guarded = Guarded(work)
    while (one := guarded.next()) is not None:
        assert not guarded.tell(one, Report(1, 2, 0.5, 1.0))
        guarded.finish(one, Outcome("complete"))
    assert guarded.error is None
    assert guarded.done == work.done
    assert set(work.outcomes) == {"job-0", "job-1"}


def test_whoever_gives_up_ends_the_work_and_the_first_error_counts() -> None:
    guarded = Guarded(Given(list(JOBS)))
    guarded.give_up(FULL)
    guarded.give_up(StorageFullError("later"))
    assert guarded.error is FULL
    assert guarded.done
    assert guarded.next() is None
