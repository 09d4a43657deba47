"""What holds for all objectives and constraints: nothing infeasible is chosen anywhere, and the best is the best."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pdsearch.analysis.footnotes import shortfall
from pdsearch.analysis.pareto import pareto_front
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import StudyTable
from pdsearch.objectives import Aims, Constraint, Objective, weighed
from pdsearch.records.trial_record import TrialRecord, read_record
from pdsearch.search.confirmation.finalists import finalists, leaders
from tests.analysis import synthetic_studies

ACCURACY, SIZE = "student.val_accuracy", "student.params"
METHODS = ("magnitude", "taylor", "snip", None)
EPOCHS = 20

objectives = st.lists(
    st.sampled_from(
        [Objective(ACCURACY, "maximize"), Objective(SIZE, "minimize"), Objective(SIZE, "maximize")]
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda one: one.metric,
)
constraints = st.lists(
    st.builds(
        lambda metric, op, share: Constraint(metric, op, share / 10 if metric == ACCURACY else 100.0 * share),
        st.sampled_from([ACCURACY, SIZE]),
        st.sampled_from(["<=", ">="]),
        st.integers(1, 9),
    ),
    max_size=2,
)
aims = st.builds(lambda o, c: Aims(tuple(o), tuple(c)), objectives, constraints)
trials = st.lists(
    st.tuples(
        st.sampled_from(METHODS),
        st.integers(0, 10).map(lambda n: n / 10),
        st.integers(1, 10).map(lambda n: 100 * n),
        st.sampled_from(["complete", "complete", "stopped", "failed"]),
    ),
    min_size=1,
    max_size=8,
)
Trial = tuple[str | None, float, int, str]


def records(found: list[Trial]) -> list[dict[str, Any]]:
    """Search records as an older version wrote them: complete, whatever they break."""
    made = []
    for number, (method, accuracy, size, state) in enumerate(found):
        one = synthetic_studies.record(method, accuracy, kind="search", number=number, state=state)
        made.append({**one, "values": {ACCURACY: accuracy, SIZE: float(size)}})
    return made


def typed(found: list[dict[str, Any]]) -> list[TrialRecord]:
    return [read_record(TrialRecord, one) for one in found]


def study(found: list[dict[str, Any]], wanted: Aims) -> StudyTable:
    objectives = [{"metric": one.metric, "goal": one.goal} for one in wanted.objectives]
    space = {"objectives": objectives, "constraints": [str(one) for one in wanted.constraints]}
    return synthetic_studies.study(found, space=space)


@settings(max_examples=60)
@given(found=trials, wanted=aims)
def test_nothing_infeasible_leads_is_confirmed_ranked_exported_or_on_a_front(
    found: list[Trial], wanted: Aims
) -> None:
    made = records(found)
    seen = study(made, wanted)
    assert seen.aims == wanted
    chosen: list[Mapping[str, float]] = [one.values for one in leaders(typed(made), wanted)]
    ranking = rank_teachers(seen)
    chosen += [row.best.record.values for row in ranking.rows]
    if len(wanted.objectives) > 1:
        chosen += [row.record.values for row in pareto_front(seen).rows]
    assert all(limit.holds(values[limit.metric]) for values in chosen for limit in wanted.constraints)
    pruned, dense = finalists(typed(made), teachers=2, aims=wanted)
    assert bool(ranking.top(1)) == bool(pruned or dense) == bool(chosen)
    assert (shortfall(seen, ranking) is not None) == (
        not chosen and any(state != "failed" for *_, state in found)
    )


@settings(max_examples=60)
@given(found=trials, wanted=aims)
def test_confirmation_and_ranking_take_the_same_trial_first_and_no_feasible_one_is_better(
    found: list[Trial], wanted: Aims
) -> None:
    made = records(found)
    first = rank_teachers(study(made, wanted)).top(1)
    if not first:
        return
    goal = wanted.objectives[0]
    ended = [one["values"] for one in made if one["state"] in ("complete", "stopped")]
    values = [weighed(one[goal.metric], goal.goal) for one in ended if wanted.feasible(one)]
    assert weighed(first[0].best.record.values[goal.metric], goal.goal) == max(values)
    assert wanted.merit(leaders(typed(made), wanted)[0].values) == wanted.merit(first[0].best.record.values)


@settings(max_examples=40)
@given(accuracies=st.lists(st.integers(0, 100).map(lambda n: n / 100), min_size=1, max_size=4))
def test_a_confirmed_teacher_keeps_a_constraint_by_its_mean(accuracies: list[float]) -> None:
    wanted = Aims(constraints=(Constraint(ACCURACY, ">=", 0.5),))
    ranking = rank_teachers(study(synthetic_studies.confirmed("magnitude", accuracies), wanted))
    kept = sum(accuracies) / len(accuracies) >= 0.5 or abs(sum(accuracies) / len(accuracies) - 0.5) < 1e-12
    assert len(ranking.rows) == 1, "a line that breaks a constraint is still shown"
    assert bool(ranking.top(1)) == (ranking.rows[0].rank == 1) == (ranking.rows[0].broken is None)
    assert kept or not ranking.top(1)
