"""A study of format 1 opens, ranks and goes on as it did when it was written.

`format_1/` was written by the version of commit 1867b91 from `format_1/space.yaml` (`pdsearch run space.yaml --serial`,
its artifacts left out). Two of its trials failed, and its confirmation trained several seeds as one network, which no
version does any more.
"""

import shutil
from pathlib import Path

import pytest

from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import read_study
from pdsearch.config import load
from pdsearch.io.record_files import read_asked, read_finished
from pdsearch.io.studies import description
from pdsearch.observer import Observer
from pdsearch.search.study import open_as_driver
from pdsearch.search.verify import check_invariants

FOLDER = Path(__file__).parent / "format_1"
RANKED = [
    ("convnet_s magnitude 50%", 1, 0.08333333333333333, 0.048888888888888885, 2, 1),
    ("convnet_s unpruned", 2, 0.05555555555555555, 0.061111111111111116, 2, 2),
    ("student alone", None, 0.027777777777777776, 0.08222222222222222, 2, 0),
]
"""Label, rank, mean validation and test accuracy, students and trials, as that version ranked them."""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return shutil.copytree(FOLDER, tmp_path / "format_1")


def test_every_record_is_read(study: Path) -> None:
    space = description(study).space
    asked, finished = read_asked(study / "trials", space), read_finished(study / "trials", space)
    assert (len(asked.found), len(finished.found), asked.broken, finished.broken) == (14, 14, (), ())
    failed = [record for record in finished.found.values() if record.state == "failed"]
    assert len(failed) == 2
    assert {record.spec.distill.replicas for record in finished.found.values()} == {(), (1, 2)}


def test_it_is_ranked_as_it_was_and_verified(study: Path) -> None:
    rows = {row.label: row for row in rank_teachers(read_study(study)).rows}
    found = [
        (label, row.rank, row.val and row.val.mean, row.test and row.test.mean, row.seeds, row.trials)
        for label, row in rows.items()
    ]
    assert sorted(found) == sorted(RANKED)
    assert check_invariants(study) == []


def test_the_same_space_goes_on_with_it(study: Path) -> None:
    before = {path.name: path.read_bytes() for path in (study / "trials").iterdir()}
    space = load(study / "space.yaml", [f"storage={study.parent}"])
    with open_as_driver(space, Observer()) as opened:
        assert opened.resumed
        assert opened.scheduler.search.finished == 3
        assert set(opened.scheduler.records.finished) == {
            n.split(".")[0] for n in before if ".finished." in n
        }
    after = {path.name: path.read_bytes() for path in (study / "trials").iterdir()}
    assert before.items() <= after.items(), "a record of an older format is left as it was written"
