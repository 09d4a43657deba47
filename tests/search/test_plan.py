"""What a study costs, by playing it."""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from pdsearch.artifacts import open_store
from pdsearch.config import parse
from pdsearch.driver import run_serially
from pdsearch.pipeline.context import Account, WorkerContext
from pdsearch.pipeline.keys import dense_key, round_keys
from pdsearch.search.confirmation.fairness import owed
from pdsearch.search.planning import simulate as module
from pdsearch.search.planning.remaining import Forecast, forecast
from pdsearch.search.planning.simulate import PhaseCost, Plan, dense, needs, plan, teacher_epochs
from pdsearch.search.study import open_as_driver
from tests.pipeline.digits import ALONE, DENSE, SPEC, pruned
from tests.search.scripted_trials import Watching

PAPER: dict[str, Any] = {
    "data": {"source": "digits"},
    "teacher": {"model": "convnet_l"},
    "student": {"model": "convnet_s"},
    "train": {
        "teacher": {"epochs": 200, "lr": 0.1},
        "recover": {"epochs": 130, "lr": 0.1},
        "distill": {"epochs": 200, "lr": 0.1},
    },
    "prune": {"method": "magnitude"},
    "space": {
        "prune.ratio": [0.36, 0.59, 0.79],
        "distill.temperature": {"low": 1, "high": 20, "log": True},
    },
    "search": {"trials": 60},
}
GRID = {**PAPER["space"], "distill.temperature": [float(n) for n in range(1, 21)]}
# Also 60 points, all of them visited: which ones a sampler draws depends on NumPy and the processor.
RECIPES = {
    **GRID,
    "distill.temperature": [1.0, 2.0, 3.0, 4.0, 5.0],
    "train.distill.momentum": [0.5, 0.6, 0.7, 0.9],
}
FEW: dict[str, Any] = {
    "space": {**PAPER["space"], "distill.temperature": [1.0, 2.0, 3.0, 4.0]},
    "search": {"trials": 12},
}


def planned(**sections: Any) -> Plan:
    return plan(parse({**PAPER, **sections}))


@cache
def paper() -> Plan:
    """20 trials at each of 36, 59 and 79 %."""
    return planned(space=GRID)


def phase(found: Plan, name: str) -> PhaseCost:
    return next(p for p in found.phases if p.name == name)


def test_the_paper_s_search_without_and_with_reuse() -> None:
    """20 trials at each of 36, 59 and 79 %: 57,800 epochs, or 13,110 where nothing is computed twice."""
    found = paper()
    assert found.exact
    before, search = phase(found, "groundwork"), phase(found, "search")
    # The dense teacher and the student alone, with 200 epochs each.
    assert (before.students, before.without_reuse, before.with_reuse) == (1, 200, 400)
    assert (search.without_reuse, 200 + search.with_reuse) == (57_800, 13_110)
    assert round(57_800 / 13_110, 1) == 4.4


def test_trials_that_are_drawn_cost_about_the_same_and_always_the_same() -> None:
    found = planned()
    assert not found.exact
    search = phase(found, "search")
    assert search.without_reuse == pytest.approx(57_800, rel=0.1)
    assert 200 + search.with_reuse == 13_110
    assert planned() == found


@pytest.mark.parametrize("ratio", [[0.36, 0.59, 0.79], {"low": 0.1, "high": 0.9}])
def test_many_trials_cost_what_the_first_ones_did(ratio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sections = {
        "prune": {"method": "magnitude", "schedule": "one_shot"},
        "space": {**PAPER["space"], "prune.ratio": ratio},
    }
    whole = planned(**sections)
    monkeypatch.setattr(module, "MOST_DRAWN", 40)
    found = planned(**sections)
    assert (found.trials, found.drawn, phase(found, "search").students) == (60, 40, 60)
    assert phase(found, "search").with_reuse == pytest.approx(phase(whole, "search").with_reuse, rel=1e-9)
    assert found.count("prune") == whole.count("prune")
    assert found.without_reuse == pytest.approx(whole.without_reuse, rel=0.1)


def test_a_ratio_that_never_repeats_shares_nothing() -> None:
    prune = {"method": "magnitude", "schedule": "one_shot"}
    searched = {"prune.ratio": {"low": 0.1, "high": 0.9}}
    search = phase(planned(prune=prune, space=searched), "search")
    assert search.with_reuse == 60 * (130 + 200)
    geometric = phase(planned(space=searched), "search")
    assert geometric.with_reuse < 130 * 11 + 60 * 200


def test_teachers_under_a_continuous_range_are_each_trained() -> None:
    searched = {**PAPER["space"], "train.teacher.lr": {"low": 0.01, "high": 0.1}}
    recipes = {**PAPER["train"], "teacher": {"epochs": 200}}
    search = phase(planned(space=searched, train=recipes), "search")
    assert search.with_reuse == pytest.approx(search.without_reuse)


def test_a_teacher_from_a_file_costs_nothing() -> None:
    found = planned(teacher={"model": "convnet_l", "checkpoint": "there.pth"}, **FEW)
    assert phase(found, "search").with_reuse == 7 * 130 + 12 * 200


def test_the_unpruned_teacher_gets_as_many_trials_as_a_leading_one() -> None:
    """60 trials, 20 at each ratio; where the unpruned teacher is searched as well, it has more than the median."""
    assert phase(paper(), "comparison") == PhaseCost("comparison", 20, 8_000, 4_000)
    methods = ["none", "magnitude", "random", "taylor"]
    ratio = {"choices": [0.36, 0.59, 0.79], "when": {"prune.method": methods[1:]}}
    searched = {**PAPER["space"], "prune.method": methods, "prune.ratio": ratio}
    found = planned(prune={}, space=searched, search={"trials": 80, "sampler": "random"})
    assert "comparison" not in [p.name for p in found.phases]


def test_the_unpruned_teacher_has_no_more_trials_than_there_are() -> None:
    found = planned(space={"prune.ratio": [0.36, 0.59], "teacher.seed": [0, 1]})
    assert phase(found, "comparison").students <= 2


@pytest.mark.parametrize(
    ("sections", "students"),
    [
        ({}, 5 * (3 + 1 + 3 + 1)),
        ({"confirm": {"teachers": 2, "seeds": 3}}, 3 * (2 + 1 + 2 + 1)),
        # All have the same loss and recipe, and share their baselines.
        ({"space": {"prune.ratio": [0.36, 0.59, 0.79]}}, 5 * (3 + 1 + 0 + 1)),
        ({"space": RECIPES}, 5 * (3 + 1 + 3 + 2)),
        ({"student": {"model": "from_teacher"}}, 5 * (3 + 1 + 4 + 4)),
    ],
)
def test_confirmation_is_what_a_run_would_list(sections: dict[str, Any], students: int) -> None:
    found = phase(planned(**{"confirm": {"teachers": 5, "seeds": 5}, **sections}), "confirmation")
    assert found.students == students
    assert found.with_reuse == 200 * students


def test_a_front_of_students_of_one_size_is_the_best_of_them() -> None:
    """Sizes were drawn like accuracies, so that a front had many members, each to be confirmed."""
    both = [{"metric": "student.val_accuracy"}, {"metric": "student.params"}]
    confirm = {"teachers": 5, "seeds": 5}
    one, two = (
        phase(planned(confirm=confirm, **more), "confirmation") for more in ({}, {"objectives": both})
    )
    assert one.students == two.students


GRIDS: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "taught again": (
        {
            "search": {"trials": 3, "sampler": "random"},
            "confirm": {"teachers": 2, "seeds": 2, "teacher_seeds": 2},
        },
        {"teacher": 2 * 3, "prune": 2 * 4, "distill": 3 + 1 + 2 * (2 * (2 + 1) + 1)},
    ),
    "confirmed": (
        {"search": {"trials": 3, "sampler": "random"}, "confirm": {"teachers": 2, "seeds": 2}},
        {"teacher": 3, "prune": 4, "distill": 3 + 1 + 2 * (2 + 1 + 1)},
    ),
    "shaped": (
        {
            "student": {"model": "from_teacher"},
            "search": {"trials": 3, "sampler": "random"},
            "confirm": {"teachers": 1, "seeds": 2},
        },
        {"teacher": 3, "prune": 4, "distill": 3 + 2 * (2 + 2 + 2)},
    ),
}


def tiny(folder: Path, teacher: int, recover: int, distill: int) -> dict[str, Any]:
    """Sections of a study that runs in seconds, of so many epochs."""
    epochs = {"teacher": teacher, "recover": recover, "distill": distill}
    return {
        **PAPER,
        "data": {"source": "digits", "subset": 60},
        "teacher": {"model": "convnet_s"},
        "train": {name: {"epochs": count, "lr": 0.05, "batch_size": 32} for name, count in epochs.items()},
        "prune": {},
        "storage": str(folder),
        "space": {
            "prune.method": ["none", "magnitude"],
            "prune.ratio": {"choices": [0.2, 0.36], "when": {"prune.method": ["magnitude"]}},
        },
    }


@pytest.mark.parametrize("name", GRIDS)
def test_a_study_costs_what_its_plan_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    sections, expected = GRIDS[name]
    space = parse({**tiny(tmp_path, 3, 2, 1), **sections})
    trained: Counter[str] = Counter()
    monkeypatch.setattr(Account, "trained", lambda self, stage: trained.update([stage]))  # noqa: ARG005
    with open_as_driver(space, Watching()) as study:
        trained.clear()  # Of what is tried in small.
        run_serially(study.scheduler, WorkerContext(open_store(study.artifacts), study.progress))
        assert study.scheduler.failure is None
    found = plan(space)
    assert found.exact
    assert trained == expected
    assert found.with_reuse == sum(trained.values())


def test_what_is_left_of_a_study_is_planned_from_what_has_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its teachers are stored, its trials done, and the next ones those that its sampler will choose.

    What is owed is counted over all records once or twice a draw, not at every job.
    """
    sections = tiny(tmp_path, 2, 2, 2)
    sections["space"]["distill.temperature"] = [1, 4]

    def run(trials: int) -> list[str]:
        space = parse({**sections, "search": {"trials": trials}})
        with open_as_driver(space, watching := Watching()) as study:
            run_serially(study.scheduler, WorkerContext(open_store(study.artifacts), study.progress))
        return [name for name in watching.ids if not name.startswith("teacher")]

    def told(trials: int, **more: Any) -> Forecast:
        return forecast(parse({**sections, "search": {"trials": trials}, **more}))

    run(3)
    counting = Mock(side_effect=owed)
    with monkeypatch.context() as patch:
        patch.setattr("pdsearch.search.scheduler.owed", counting)
        found = told(6)
    assert 0 < counting.call_count <= 2 * len(found.draws)
    assert (found.plan.done, found.plan.trials, len(found.draws)) == (3, 6, 9)
    assert sum(phase.students for phase in found.plan.phases) == len(run(6))
    assert (told(6).plan.phases, told(6).plan.with_reuse) == ((), 0)
    assert told(6, precision="bf16").other


def test_without_validation_the_plan_is_the_list_of_what_is_confirmed() -> None:
    """Dense and 36 %, each with two losses: 3 seeds of 4 students and of the student alone, 200 epochs each."""
    found = planned(
        data={"source": "digits", "val_fraction": 0},
        prune={"ratio": 0.36},
        space={"prune.method": ["none", "magnitude"], "distill.loss": ["kd", "dkd"]},
        search={},
        confirm={"seeds": 3},
    )
    assert [phase.name for phase in found.phases] == ["groundwork", "confirmation"]
    before, confirmation = found.phases
    assert (before.students, before.with_reuse, before.without_reuse) == (0, 200, 0)
    assert confirmation.students == 3 * (4 + 1)
    # A chain of two rounds, once; then the students.
    assert confirmation.with_reuse == 2 * 130 + 15 * 200
    assert confirmation.without_reuse == 3 * (2 * 200 + 2 * (200 + 2 * 130)) + 15 * 200
    assert found.trials == 0


def test_one_configuration_that_nothing_confirms_costs_itself() -> None:
    told = planned(space={}, prune={"method": "magnitude", "ratio": 0.36}, search={}, confirm="off")
    assert [(phase.name, phase.students) for phase in told.phases] == [("groundwork", 0), ("search", 1)]
    assert told.with_reuse == 200 + 2 * 130 + 200


def test_a_pruned_teacher_needs_the_dense_one_and_every_round() -> None:
    spec = pruned(ratio=0.59)
    found = needs(spec)
    assert [need.key for need in found] == [dense_key(spec), *round_keys(spec)]
    assert needs(DENSE) == found[:1] == (dense(SPEC),)
    assert needs(ALONE) == ()
    assert [need.epochs for need in found] == [2] * 5
    assert found[-1].label == "convnet_s magnitude round 4, 59 %"
    assert teacher_epochs(spec) == 10


def test_a_control_costs_as_much_and_loses_nothing() -> None:
    spec = pruned(method="train_on", ratio=0.59)
    assert needs(spec)[-1].label == "convnet_s train_on round 4"
    assert teacher_epochs(spec) == teacher_epochs(pruned(ratio=0.59)) == 10


@pytest.mark.parametrize(
    ("fields", "epochs", "stored"),
    [
        ({"recovery": "none"}, [2, 0, 0], [True, False, True]),
        ({"at": "init"}, [0, 2], [False, True]),
        ({"recovery": "finetune"}, [2, 2, 2], [True, True, True]),
    ],
)
def test_rounds_train_as_their_recovery_says(
    fields: dict[str, Any], epochs: list[int], stored: list[bool]
) -> None:
    found = needs(pruned(**fields))
    assert [need.epochs for need in found] == epochs
    assert [need.stored for need in found] == stored
