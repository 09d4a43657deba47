"""Wherever the storage refuses or the process dies, the next run ends the study as if nothing had happened."""

import shutil
from pathlib import Path

import pytest

from pdsearch.config import Space
from pdsearch.verify import check_invariants
from tests.faults import scripted_study
from tests.faults.operations import DIE, DIED, FAIL, FULL, TEAR, Hazard, in_child

OK, REFUSED, NO_SPACE = 0, 74, 75


@pytest.fixture
def where(root: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    """A small space."""
    scripted_study.begin_quickly(monkeypatch)
    return scripted_study.space(root / "runs", trials=2)


def run_with(where: Space, at: int, mode: str) -> tuple[int, int, list[int]]:
    folder = Path(where.storage)
    shutil.rmtree(folder, ignore_errors=True)
    return in_child(lambda: scripted_study.run(where), Hazard(folder, at, mode))


def results(where: Space) -> set[tuple[str, str, str]]:
    """What the study found, trial by trial, whatever their numbers."""
    found = scripted_study.read(Path(where.storage)).values()
    return {(record["kind"], record["key"], str(record["values"])) for record in found}


def go_on(where: Space, expected: set[tuple[str, str, str]], what: str) -> None:
    """Run again, and compare with a study that nothing happened to."""
    folder = Path(where.storage)
    before = scripted_study.records(folder)
    worker = scripted_study.run(where)
    after = scripted_study.records(folder)
    assert {name: after[name] for name in before} == before, f"{what}: a finished record changed"
    assert check_invariants(folder / "study", deep=True) == [], what
    assert results(where) == expected, what
    assert len(worker.built) == len(set(worker.built)), f"{what}: something was built twice"


@pytest.mark.slow
@pytest.mark.parametrize("mode", [DIE, FAIL, TEAR])
def test_every_operation_may_fail_or_be_the_last(where: Space, mode: str) -> None:
    code, operations, syncs = run_with(where, 0, mode)
    assert code == OK
    expected = results(where)
    struck = syncs if mode == TEAR else list(range(1, operations + 1))
    codes = [0]
    for at in struck:
        code, _, _ = run_with(where, at, mode)
        assert code in ((OK, REFUSED) if mode == FAIL else (DIED,)), f"{mode} at {at} of {operations}"
        codes.append(code)
        go_on(where, expected, f"{mode} at operation {at} of {operations}")
    print(f"{mode}: {len(struck)} of {operations} operations")
    assert len(struck) > (40 if mode == TEAR else 300)
    assert mode != FAIL or codes.count(REFUSED) > len(codes) / 2


def test_the_journal_may_be_lost_as_well(where: Space) -> None:
    code, operations, _ = run_with(where, 0, DIE)
    assert code == OK
    expected = results(where)
    for at in range(1, operations + 1, 7):
        run_with(where, at, DIE)
        (Path(where.storage) / "study" / "journal.log").unlink(missing_ok=True)
        go_on(where, expected, f"died at operation {at} of {operations}, its journal lost")


def test_the_disk_may_be_full_from_any_operation_on(where: Space) -> None:
    code, operations, _ = run_with(where, 0, FULL)
    assert code == OK
    expected = results(where)
    codes = []
    for at in range(1, operations + 1, 11):
        code, _, _ = run_with(where, at, FULL)
        assert code in (OK, NO_SPACE), f"full from {at} of {operations}"
        assert code == NO_SPACE or results(where) == expected, "what says nothing has lost nothing"
        codes.append(code)
        go_on(where, expected, f"full from operation {at} of {operations}")
    assert codes.count(NO_SPACE) > 0.9 * len(codes)
