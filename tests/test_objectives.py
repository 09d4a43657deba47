"""What objectives and constraints make of measured values."""

import pytest

from pdsearch.objectives import (
    Aims,
    Constraint,
    Objective,
    _hypervolume,
    better_goal,
    counts_as_trial,
    most_hypervolume,
)
from pdsearch.records.codec import decode
from pdsearch.records.study_record import UNKNOWN_SPACE, StudySpace

ACCURACY, SIZE = "student.val_accuracy", "student.params"
ACCURATE = Constraint(ACCURACY, ">=", 0.9)


@pytest.mark.parametrize(
    ("op", "value", "holds"), [("<=", 5.0, True), ("<=", 5.1, False), (">=", 5.0, True), (">=", 4.9, False)]
)
def test_a_limit_is_broken_beyond_its_bound(op: str, value: float, holds: bool) -> None:
    limit = Constraint("m", op, 5.0)
    assert limit.holds(value) is holds
    assert (limit.excess(value) <= 0) is holds


def test_a_limit_is_read_as_it_is_written_and_its_complaint_names_what_was_measured() -> None:
    assert Constraint.read(str(ACCURATE)) == ACCURATE
    assert ACCURATE.complaint(0.42) == "student.val_accuracy = 0.42, not >= 0.9"
    with pytest.raises(ValueError, match="no constraint"):
        Constraint.read("student.params")


def test_a_whole_trial_that_breaks_a_constraint_is_infeasible_whoever_wrote_its_state() -> None:
    aims = Aims(constraints=(ACCURATE, Constraint(SIZE, "<=", 1000.0)))
    good, bad = {ACCURACY: 0.95, SIZE: 900.0}, {ACCURACY: 0.42, SIZE: 900.0}
    assert aims.verdict("complete", good, "in parts") == ("complete", "in parts")
    assert aims.verdict("complete", bad) == ("infeasible", ACCURATE.complaint(0.42))
    assert aims.verdict("failed", {}, "why") == ("failed", "why")
    assert aims.verdict("stopped", bad) == ("stopped", None), "it counts as one that was stopped"
    assert not aims.feasible(bad), "and is not chosen"
    assert aims.feasible({SIZE: 900.0}), "what is not measured was checked before"
    assert aims.distance(bad) < aims.distance({ACCURACY: 0.42, SIZE: 2000.0})


def test_more_of_an_accuracy_is_better_and_less_of_anything_else() -> None:
    assert (better_goal(ACCURACY), better_goal(SIZE)) == ("maximize", "minimize")
    small, large = {ACCURACY: 0.5, SIZE: 1.0}, {ACCURACY: 0.9, SIZE: 2.0}
    assert Aims().merit(large) > Aims().merit(small)
    by_size = Aims((Objective(SIZE, "minimize"),))
    assert by_size.merit(small) > by_size.merit(large)
    assert by_size.merit({**small, ACCURACY: 0.6}) > by_size.merit(small), "equal sizes: the accuracy decides"
    assert by_size.merit(large) > by_size.merit({}), "what lacks the objective is last"


def test_whatever_did_not_fail_counts_as_a_trial() -> None:
    assert [
        state for state in ("complete", "stopped", "infeasible", "failed") if not counts_as_trial(state)
    ] == ["failed"]


def test_the_aims_of_a_study_are_those_its_record_holds() -> None:
    space = {"objectives": [{"metric": SIZE, "goal": "minimize"}], "constraints": [str(ACCURATE)]}
    assert decode(StudySpace, space).aims == Aims((Objective(SIZE, "minimize"),), (ACCURATE,))
    assert UNKNOWN_SPACE.aims == Aims()


BOTH = ("maximize", "minimize")


def test_the_members_that_tell_most_of_a_front_come_first() -> None:
    """A knee and one end; points close to them add next to nothing, and one that is beaten none at all."""
    points = [(0.9, 1000.0), (0.8, 100.0), (0.5, 50.0), (0.79, 99.0), (0.7, 500.0), (0.9, 1000.0)]
    assert most_hypervolume(points, BOTH, 9, all_of=False) == [1, 0]
    assert most_hypervolume(points, BOTH, 1, all_of=False) == [1]
    assert sorted(most_hypervolume(points, BOTH, 9, all_of=True)) == [0, 1, 2, 3, 5]
    assert most_hypervolume([(0.5, 10.0)], BOTH, 3, all_of=False) == [0]


def test_hypervolume_counts_what_is_covered_once_in_any_dimension() -> None:
    cubes = [(2.0, 1.0, 1.0), (1.0, 2.0, 1.0), (1.0, 1.0, 2.0)]
    assert _hypervolume(cubes) == pytest.approx(4.0)
    assert _hypervolume([(2.0, 3.0), (1.0, 4.0), (1.0, 1.0)]) == pytest.approx(7.0)
