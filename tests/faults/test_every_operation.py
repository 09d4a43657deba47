"""Wherever the storage refuses or the process dies, the next run ends the study as if nothing had happened."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdsearch.config import Space
from pdsearch.search.verify import check_invariants
from tests.faults import scripted_study
from tests.faults.operations import FAIL, FULL, Hazard, Operations, Recorder, in_child

OK, REFUSED, NO_SPACE = 0, 74, 75


class Whole:
    """A study that nothing happened to, and what the next run makes of one that something did.

    That run is tried once for all that left files of the same names and sizes.
    """

    def __init__(self, where: Space, copies: Path) -> None:
        self.where, self.folder, self.copies = where, Path(where.storage), copies
        code, self.kinds = self.run(Recorder(self.folder, copies))
        assert code == OK
        self.count = sum(map(len, self.kinds))
        self.expected = self.results()
        self.seen: set[tuple[tuple[str, int], ...]] = set()

    def run(self, operations: Operations) -> tuple[int, Any]:
        """Run the study anew in a process of its own."""
        shutil.rmtree(self.folder, ignore_errors=True)
        return in_child(lambda: scripted_study.run(self.where), operations)

    def died(self) -> Iterator[str]:
        """Lay out what a death at any operation leaves, one after another."""
        for copy in sorted(self.copies.iterdir()):
            shutil.rmtree(self.folder)
            copy.rename(self.folder)
            yield f"{copy.name} of {self.count}"

    def results(self) -> set[tuple[str, str, str]]:
        """What the study found, trial by trial, whatever their numbers."""
        found = scripted_study.read(self.folder).values()
        return {(record["kind"], record["key"], str(record["values"])) for record in found}

    def left(self) -> tuple[tuple[str, int], ...]:
        """Names of files but for numbers in them, and sizes but of those that hold a time."""
        timed = {"elapsed.json", "journal.log"}
        sizes = {path: path.stat().st_size for path in self.folder.rglob("*") if path.is_file()}
        found = ((path, min(size, 1) if path.name in timed else size) for path, size in sizes.items())
        return tuple(sorted((re.sub(r"\d+", "N", str(path)), size) for path, size in found))

    def goes_on(self, what: str) -> None:
        """Run again, and compare."""
        left = self.left()
        if left in self.seen:
            return
        self.seen.add(left)
        before = scripted_study.records(self.folder)
        worker = scripted_study.run(self.where)
        after = scripted_study.records(self.folder)
        assert {name: after[name] for name in before} == before, f"{what}: a finished record changed"
        assert check_invariants(self.folder / "study", deep=True) == [], what
        assert self.results() == self.expected, what
        assert len(worker.built) == len(set(worker.built)), f"{what}: something was built twice"


@pytest.fixture
def whole(root: Path, monkeypatch: pytest.MonkeyPatch) -> Whole:
    """A small study."""
    scripted_study.begin_quickly(monkeypatch)
    return Whole(scripted_study.space(root / "runs", trials=2), root / "copies")


@pytest.mark.slow
def test_a_process_may_die_at_every_operation_and_its_machine_too(whole: Whole) -> None:
    for what in whole.died():
        whole.goes_on(f"died at {what}")
    assert len(whole.seen) > 150


def test_the_journal_may_be_lost_as_well(whole: Whole) -> None:
    for number, what in enumerate(whole.died()):
        if number % 7 == 0:
            (whole.folder / "study" / "journal.log").unlink(missing_ok=True)
            whole.goes_on(f"died at {what}, its journal lost")
    assert len(whole.seen) > 30


@pytest.mark.slow
def test_every_operation_may_fail(whole: Whole) -> None:
    """One of each kind: code that does the same to another trial's file fails alike."""
    codes = []
    for at in (numbers[len(numbers) // 2] for numbers in whole.kinds):
        what = f"failed at operation {at} of {whole.count}"
        code, _ = whole.run(Hazard(whole.folder, at, FAIL))
        assert code in (OK, REFUSED), what
        assert code == REFUSED or whole.results() == whole.expected, what
        codes.append(code)
        whole.goes_on(what)
    assert len(codes) > 100
    assert codes.count(REFUSED) > len(codes) / 2


def test_the_disk_may_be_full_from_any_operation_on(whole: Whole) -> None:
    codes = []
    for at in range(1, whole.count + 1, 11):
        what = f"full from operation {at} of {whole.count}"
        code, _ = whole.run(Hazard(whole.folder, at, FULL))
        assert code in (OK, NO_SPACE), what
        assert code == NO_SPACE or whole.results() == whole.expected, "what says nothing has lost nothing"
        codes.append(code)
        whole.goes_on(what)
    assert codes.count(NO_SPACE) > 0.9 * len(codes)
