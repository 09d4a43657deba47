"""The unpruned teacher is owed as many trials as the median pruned teacher has."""

from dataclasses import replace

import pytest

from pdsearch.search.confirmation.quota import owed
from pdsearch.trial_record import TeacherFacts, TrialRecord
from tests.trial_records import finished


def tried(teacher: str | None, times: int, *, method: str | None = "magnitude") -> list[TrialRecord]:
    found = None if teacher is None else TeacherFacts(key="k", config=teacher, model="m", method=method)
    return [finished(teacher=found)] * times


PRUNED = [*tried("a", 2), *tried("b", 5), *tried("c", 4)]


@pytest.mark.parametrize(("had", "missing"), [(0, 4), (1, 3), (4, 0), (9, 0)])
def test_it_gets_what_the_search_did_not_give_it(had: int, missing: int) -> None:
    assert owed([*PRUNED, *tried("dense", had, method=None)]) == missing


def test_of_an_even_number_of_teachers_the_larger_middle_counts() -> None:
    assert owed([*tried("a", 2), *tried("b", 5)]) == 5


def test_only_search_trials_that_had_a_teacher_count() -> None:
    once = tried("a", 3)
    others = [*(replace(r, kind="baseline") for r in once), *(replace(r, kind="confirm") for r in once)]
    failed = [replace(record, state="failed") for record in tried("b", 20)]
    assert owed([*PRUNED, *others, *failed, *tried(None, 20)]) == 4


def test_nothing_is_owed_where_nothing_was_tried() -> None:
    assert owed([]) == 0
