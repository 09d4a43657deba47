from pathlib import Path

import pytest

from pdsearch.artifacts import Store, hold
from pdsearch.io.studies import studies
from pdsearch.observer import Observer
from pdsearch.pipeline import keys
from pdsearch.search.maintenance import drivers, used
from pdsearch.search.study import open_study
from tests.faults import scripted_study


def test_all_that_a_finished_study_built_is_used(root: Path) -> None:
    scripted_study.run(scripted_study.space(root))
    assert set(Store(root / "artifacts").entries()) <= used(root).artifacts


def test_what_a_trial_cut_off_will_ask_for_is_used(root: Path) -> None:
    with open_study(scripted_study.space(root), Observer()) as study:
        worker = scripted_study.Worker(study)
        while (job := study.agenda.next()) is not None and job.kind != "search":
            study.agenda.finish(job, scripted_study.outcome(study, job, worker))
        assert job is not None
        assert ("teacher", keys.dense_key(job.spec)) in used(root).artifacts
        assert {("prune", key) for key in keys.round_keys(job.spec)} <= used(root).artifacts


@pytest.mark.parametrize("kind", ["asked", "finished"])
def test_a_record_that_names_nobody_knows_what_is_told(root: Path, kind: str) -> None:
    scripted_study.run(scripted_study.space(root, trials=1))
    assert used(root).torn == ()
    torn = root / "study" / "trials" / f"search-00000.{kind}.json"
    torn.chmod(0o644)
    torn.write_text("{}")
    assert [broken.path for broken in used(root).torn] == [torn]


def test_only_folders_with_a_study_count(root: Path) -> None:
    (root / "artifacts").mkdir()
    assert studies(root) == []
    scripted_study.run(scripted_study.space(root, trials=1))
    assert studies(root) == [root / "study"]


def test_a_driver_at_work_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted_study.run(scripted_study.space(root, trials=1))
    assert list(drivers(root)) == []
    with hold(root / "study" / "driver.lease"):
        ((folder, owner),) = drivers(root)
        assert folder == root / "study"
        monkeypatch.setattr("pdsearch.search.maintenance.is_dead", lambda other: other == owner)
        assert list(drivers(root)) == []
