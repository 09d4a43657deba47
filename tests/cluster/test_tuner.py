"""What Tune is asked for, and how its end and its errors become those of a run."""

from pathlib import Path
from typing import Any

import pytest

from pdsearch.cluster.connection.session import Session
from pdsearch.cluster.slots import Slots
from pdsearch.config import Resources
from pdsearch.errors import StorageError
from tests.pipeline.digits import ALONE, distilled, job
from tests.pipeline.given import Given

pytestmark = pytest.mark.usefixtures("ray_session")


class Full(Given):
    """Work whose storage is full."""

    def next(self) -> Any:
        raise StorageError("no space left on device")


def fitted(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    work: Given,
    resources: Resources,
    *,
    error: Exception | None = None,
) -> Any:
    """Run work with a Tune that starts one worker and ends; return what it was asked to run."""
    from pdsearch.cluster import runner

    asked: list[Any] = []

    class Tuner:
        def __init__(self, trainable: Any, *, tune_config: Any, **_: object) -> None:
            asked.append(trainable)
            self._searcher = tune_config.search_alg

        def fit(self) -> None:
            self._searcher.suggest("a")
            self._searcher.rest("a")
            if error is not None:
                raise error

    monkeypatch.setattr("ray.tune.Tuner", Tuner)
    session = Session(folder, Slots(1))
    runner.run(work, session, resources=resources, artifacts=folder, progress=folder, folder=folder)
    return asked[0]


@pytest.mark.parametrize(
    ("resources", "asked"),
    [
        (Resources(cpu=2, gpu=0), {"CPU": 2}),
        (
            Resources(cpu=1, gpu=0.5, accelerator="A100"),
            {"CPU": 1, "GPU": 0.5, "accelerator_type:A100": 0.001},
        ),
    ],
)
def test_a_trial_gets_what_the_space_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, resources: Resources, asked: dict[str, float]
) -> None:
    found = fitted(monkeypatch, tmp_path, Given([]), resources)
    assert found.default_resource_request({}).required_resources == asked


def test_an_error_of_the_study_s_storage_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    work = Full([job(distilled(ALONE, seed=0), id="job-0")])
    with pytest.raises(StorageError, match="no space left"):
        fitted(monkeypatch, tmp_path, work, Resources(cpu=1, gpu=0))


def test_a_summary_that_tune_cannot_write_matters_only_while_there_is_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone, resources = FileNotFoundError("the first directory was removed"), Resources(cpu=1, gpu=0)
    fitted(monkeypatch, tmp_path, Given([]), resources, error=gone)
    work = Given([job(distilled(ALONE, seed=0), id="job-0")])
    with pytest.raises(FileNotFoundError):
        fitted(monkeypatch, tmp_path, work, resources, error=gone)
