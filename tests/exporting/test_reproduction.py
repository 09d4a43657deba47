"""An export is trained again to the bit, from its folder alone; what is not the same is said."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pdsearch.analysis.study_table import read_study
from pdsearch.errors import ConfigError, StorageError
from pdsearch.exporting.reproduction import Reproduction, prediction_interval, read_export, reproduce
from pdsearch.exporting.student_file import STUDENT_FILE
from pdsearch.observer import Observer
from pdsearch.signals import Stop
from tests.some import some


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a storage that the tests share: only the first of them trains."""
    return tmp_path_factory.mktemp("again")


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def again(folder: Path, storage: Path, seeds: int = 0) -> Reproduction:
    return reproduce(read_export(folder), Observer(), Stop(lambda _: None), storage=storage, seeds=seeds)


def test_it_is_the_same_to_the_bit_and_a_record_by_fresh_seeds(exported: Path, storage: Path) -> None:
    done = again(exported, storage, seeds=2)
    assert (done.same_bits, done.differs) == (True, ())
    assert all(was == now for was, now in done.accuracies.values())
    fresh = some(done.fresh)
    # The record's own seeds are not fresh: 0 trained the search trial, 1 its confirmation.
    assert (len(fresh.values), fresh.seeds, fresh.record_seeds) == (2, (2, 3), 1)
    assert fresh.metric == "test_accuracy"


def test_it_goes_on_in_its_storage(exported: Path, storage: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in storage.glob("artifacts/*/*/*/manifest.json")}
    assert again(exported, storage, seeds=2).same_bits
    assert before == {path: path.stat().st_mtime_ns for path in storage.glob("artifacts/*/*/*/manifest.json")}


def test_one_other_weight_is_found(copy: Path, storage: Path) -> None:
    path = copy / STUDENT_FILE
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()  # It may be linked.
    path.write_bytes(content)
    done = again(copy, storage)
    assert (done.same_bits, done.close, done.passed) == (False, True, False)


def test_another_machine_may_differ_by_the_tolerance(copy: Path, storage: Path) -> None:
    result = json.loads((copy / "result.json").read_text())
    result["best"]["host"] = "elsewhere"
    (copy / "result.json").write_text(json.dumps(result))
    done = again(copy, storage)
    (difference,) = done.differs
    assert difference.startswith("host elsewhere, here ")
    far = Reproduction(False, done.differs, {"test_accuracy": (0.9, 0.88)}, 0.01)
    near = Reproduction(False, done.differs, {"test_accuracy": (0.9, 0.895)}, 0.01)
    assert (far.passed, near.passed) == (False, True)


def _other_rate(folder: Path) -> None:
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("lr: 0.05", "lr: 0.06"))


def _other_student(folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text())
    result["best"]["key"] = "0" * 64
    (folder / "result.json").write_text(json.dumps(result))


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (lambda folder: (folder / "config.yaml").unlink(), ConfigError, "no exported folder.*no config.yaml"),
        (lambda folder: (folder / "result.json").write_text("{"), StorageError, "result.json: is damaged"),
        (lambda folder: (folder / STUDENT_FILE).unlink(), ConfigError, "no trained student"),
        (_other_student, StorageError, "are of different trials"),
        (_other_rate, ConfigError, r"another trial.*teacher\.recipe\.lr was 0.05, is 0.06"),
    ],
)
def test_what_is_no_whole_export_is_refused(
    copy: Path, tmp_path: Path, spoil: Callable[[Path], object], error: type[Exception], said: str
) -> None:
    spoil(copy)
    with pytest.raises(error, match=said):
        again(copy, tmp_path / "storage")
    assert not (tmp_path / "storage").exists(), "nothing was begun"


def test_nothing_is_taken_from_other_studies(exported: Path, study: Path) -> None:
    with pytest.raises(ConfigError, match="holds other studies"):
        again(exported, study.parent)


def test_a_configuration_asks_for_the_threads_it_was_trained_with(study: Path, exported: Path) -> None:
    assert {row.record.versions["threads"] for row in read_study(study).rows} == {1}
    assert json.loads((exported / "result.json").read_text())["versions"]["threads"] == 1


@pytest.mark.parametrize(("fresh", "record"), [(2, 1), (5, 1), (5, 5), (10, 3)])
def test_the_interval_holds_nineteen_of_twenty_records(fresh: int, record: int) -> None:
    draw = random.Random(0)

    def accuracies(count: int) -> tuple[float, ...]:
        return tuple(draw.gauss(0.9, 0.01) for _ in range(count))

    inside = 0
    for _ in range(2000):
        mean = sum(accuracies(record)) / record
        found = prediction_interval(
            "test_accuracy", tuple(range(fresh)), accuracies(fresh), record=mean, record_seeds=record
        )
        inside += found.inside
    assert inside / 2000 == pytest.approx(0.95, abs=0.02)
