"""The report where no trial meets the constraints."""

from dataclasses import replace
from typing import Any

from pdsearch.analysis.footnotes import nearest_trial, shortfall
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import StudyTable
from tests.analysis import synthetic_studies

LIMITED = {"objectives": [], "constraints": ["student.val_accuracy >= 0.9"]}


def searched(*accuracies: float, **more: Any) -> list[dict[str, Any]]:
    return [
        synthetic_studies.record("magnitude", a, kind="search", number=n, **more)
        for n, a in enumerate(accuracies)
    ]


def study(*accuracies: float, **more: Any) -> StudyTable:
    return synthetic_studies.study(searched(*accuracies, **more), space=LIMITED)


def test_the_nearest_trial_and_by_how_much_it_breaks_which_constraint_are_named() -> None:
    missed = nearest_trial(study(0.3, 0.42, 0.1))
    assert missed == (
        "no trial of 3 keeps every constraint: the nearest, search-00001, has"
        " student.val_accuracy = 0.42, not >= 0.9 (0.48 off)"
    )
    assert f"{missed[0].upper()}{missed[1:]}." in rank_teachers(study(0.3, 0.42, 0.1)).footer


def test_nothing_is_said_where_a_trial_keeps_them_or_none_has_ended() -> None:
    assert nearest_trial(study(0.3, 0.95)) is None
    assert nearest_trial(study(0.3, state="failed")) is None
    assert nearest_trial(study()) is None


def test_a_trial_that_was_stopped_early_is_further_off_than_a_whole_one() -> None:
    whole, early = study(0.3), study(0.1, 0.5, state="stopped", epochs=2)
    both = replace(whole, rows=(*whole.rows, early.rows[1]))
    assert "the nearest, search-00000" in str(nearest_trial(both))


def test_confirmed_students_whose_mean_breaks_a_constraint_are_nothing_to_export() -> None:
    good = searched(0.95)
    found = synthetic_studies.study(
        [*good, *synthetic_studies.confirmed("magnitude", [0.85, 0.87])], space=LIMITED
    )
    ranking = rank_teachers(found)
    (line,) = ranking.rows
    assert (line.rank, line.broken) == (None, "student.val_accuracy = 0.86, not >= 0.9")
    assert shortfall(found, ranking) == (
        f"no confirmed teacher's students keep every constraint: those of {line.label} have a mean {line.broken}"
    )
    assert any("has no rank and is not exported" in sentence for sentence in ranking.footer)
    assert shortfall(study(0.95), rank_teachers(study(0.95))) is None
