"""Is every artifact counted that a search uses, as often as it will be computed?"""

from typing import Any

import pytest

from pdsearch.search.chances import trials_of
from pdsearch.search.reuse import PlannedArtifact, planned_artifacts
from pdsearch.space import parse
from tests.search.test_plan import GRID, PAPER


def used(**sections: Any) -> tuple[PlannedArtifact, ...]:
    found, trials, exact = trials_of(parse({**PAPER, **sections}))
    return planned_artifacts(found, trials, exact=exact)


def test_rounds_are_shared_along_the_chain() -> None:
    found = used(space=GRID)
    assert [(a.stage, a.epochs, a.uses) for a in found] == [
        ("teacher", 200, 60),
        *(("prune", 130, uses) for uses in (60, 60, 40, 40, 20, 20, 20)),
    ]
    assert [a.built for a in found] == [1] * 8
    assert [a.label for a in (found[0], found[4])] == ["convnet_l", "convnet_l magnitude round 4, 59 %"]
    assert {a.model for a in found} == {"convnet_l"}


def test_few_trials_do_not_need_every_round() -> None:
    # Of two trials one at least is at 79 % with a chance of 5/9, at 59 % or more with 8/9.
    built = [a.built for a in used(search={"trials": 2})]
    assert built == pytest.approx([1, 1, 1, 8 / 9, 8 / 9, 5 / 9, 5 / 9, 5 / 9], abs=1e-5)


def test_what_depends_on_a_continuous_value_is_computed_for_each_trial() -> None:
    recipes = {**PAPER["train"], "teacher": {"epochs": 200}}
    searched = {**PAPER["space"], "train.teacher.lr": {"low": 0.01, "high": 0.1}}
    found = used(space=searched, train=recipes)
    assert [a.built for a in found] == [a.uses for a in found]
    assert found[0].built == 60
    one_shot = {"method": "magnitude", "schedule": "one_shot"}
    searched = {"prune.ratio": {"low": 0.1, "high": 0.9}}
    teacher, *rounds = used(prune=one_shot, space=searched)
    assert teacher.built == 1
    assert sum(a.built for a in rounds) == pytest.approx(60)


def test_a_dense_teacher_is_computed_where_no_trial_needs_it() -> None:
    found = used(prune={"method": "none"}, distill={"loss": "ce"}, space={"distill.seed": [0, 1]})
    assert [(a.stage, a.built, a.uses, a.stored) for a in found] == [("teacher", 1, 0, True)]


def test_rounds_that_nothing_recovers_are_kept_only_at_a_ratio_that_was_asked_for() -> None:
    found = used(prune={"method": "magnitude", "recovery": "none"}, space=GRID)
    assert [n for n, a in enumerate(found) if a.stage == "prune" and a.stored] == [2, 4, 7]
    assert all(a.stored for a in used(space=GRID))


def test_teachers_come_before_rounds_and_models_together() -> None:
    searched = {"teacher.model": ["convnet_m", "convnet_l"], "prune.ratio": [0.36]}
    found = used(teacher={}, space=searched, search={"trials": 4})
    assert [(a.stage, a.model) for a in found] == [
        ("teacher", "convnet_l"),
        ("teacher", "convnet_m"),
        *[("prune", "convnet_l")] * 2,
        *[("prune", "convnet_m")] * 2,
    ]
