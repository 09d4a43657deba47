"""Leading teachers and the unpruned one beside them are owed as many full trials as the one that had most."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import read_study
from pdsearch.objectives import VAL_ACCURACY, Aims
from pdsearch.pipeline.keys import teacher_config
from pdsearch.protocol import TeacherFacts
from pdsearch.records.trial_record import TrialRecord
from pdsearch.search.confirmation.fairness import leading_trials, most_trials, owed, short_of_trials
from pdsearch.search.confirmation.finalists import leaders
from pdsearch.search.overview import overview
from pdsearch.search.planning.simulate import plan
from pdsearch.specs import PruneSpec, Recipe
from tests.records.trial_records import SPEC, finished, reports
from tests.search.scripted_trials import DOCUMENT, run, searching, space

RECIPE = Recipe(epochs=3, lr=0.1)


def tried(ratio: float | None, number: int, *, state: str = "complete", merit: float = 0.5) -> TrialRecord:
    """A trial of a teacher, its accuracy growing with its number."""
    prune = None if ratio is None else PruneSpec(method="magnitude", ratio=ratio, recipe=RECIPE)
    spec = replace(SPEC, prune=prune)
    return finished(
        number,
        key=f"{number:064x}",
        spec=spec,
        state=state,
        reports=reports(0.5, 0.5),
        params={"prune.ratio": ratio, "distill.alpha": number / 100},
        values={VAL_ACCURACY: merit + number / 1000},
        teacher=TeacherFacts(
            key="k" * 64,
            config=teacher_config(spec),
            model="m",
            method=prune.method if prune else None,
            ratio=ratio,
        ),
    )


def trials(**counts: int) -> list[TrialRecord]:
    """As many full trials of each teacher as is said: a, b, c are pruned, the later the better."""
    ratios = {"a": 0.2, "b": 0.36, "c": 0.5, "dense": None}
    found: list[TrialRecord] = []
    for name, count in counts.items():
        merit = {"a": 0.5, "b": 0.6, "c": 0.7}.get(name, 0.4)
        found += [tried(ratios[name], len(found) + n, merit=merit) for n in range(count)]
    return found


def wanted(records: list[TrialRecord], teachers: int = 3) -> dict[float | None, int]:
    return {
        one.fixed.get("prune.ratio"): one.trials
        for one in short_of_trials(records, teachers=teachers, aims=Aims())
    }


def test_every_leader_is_owed_what_the_one_with_most_had() -> None:
    assert wanted(trials(a=2, b=5, c=4, dense=1)) == {0.2: 3, 0.5: 1, None: 4}
    assert wanted(trials(a=9, b=5, c=4, dense=1), teachers=2) == {0.5: 1, None: 4}, (
        "one that is not confirmed counts not"
    )
    assert wanted([]) == {}


def test_only_trials_that_ran_to_their_end_count() -> None:
    stopped = [replace(record, state="stopped") for record in trials(b=3)]
    assert wanted([*trials(a=2, c=2, dense=2), *(replace(r, key="e" * 64) for r in stopped)]) == {0.36: 2}


def test_what_was_topped_up_changes_nothing_of_what_is_listed() -> None:
    records = trials(a=2, b=5, dense=5)
    more = [replace(record, number=None, kind="baseline") for record in records]
    assert wanted([*records, *more]) == wanted(records)


def test_the_unpruned_teacher_is_owed_trials_of_its_own() -> None:
    assert [owed(trials(a=2, b=5, dense=had), teachers=2, aims=Aims()) for had in (0, 1, 5, 9)] == [
        5,
        4,
        0,
        0,
    ]
    assert owed([], teachers=2, aims=Aims()) == 0


def test_points_are_the_best_choices_of_all() -> None:
    records = trials(a=1, b=3, dense=3)
    (one,) = short_of_trials(records, teachers=2, aims=Aims())
    points = list(one.points(leading_trials(records, Aims())))
    assert [point["distill.alpha"] for point in points[:3]] == [0.03, 0.02, 0.01]
    assert {point["prune.ratio"] for point in points} == {0.2}
    assert most_trials(records) == 3


def _kinds(jobs: list[str]) -> list[str]:
    return [name for name in jobs if name.startswith("baseline-fair")]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_study_tops_up_once_and_chooses_among_as_many(tmp_path: Path, sampler: str) -> None:
    sections: dict[str, Any] = {
        "search": searching(trials=9, sampler=sampler),
        "confirm": {"teachers": 2, "seeds": 2},
    }
    watching, scheduler = run(tmp_path, **sections)
    assert _kinds(watching.ids)
    taught = [r for r in scheduler.records.finished.values() if r.kind != "confirm" and r.teacher is not None]
    counts = dict.fromkeys({r.teacher.config for r in taught if r.teacher}, 0)
    for record in taught:
        assert record.teacher is not None
        counts[record.teacher.config] += record.state == "complete"
    assert len(set(counts.values())) == 1, counts
    again, scheduler = run(tmp_path, **sections)
    assert _kinds(again.ids) == []
    assert scheduler.idle()


def test_the_student_alone_is_tried_with_the_recipes_that_were_searched(tmp_path: Path) -> None:
    recipes = {"train.distill.lr": [0.1, 0.05, 0.02], "prune.ratio": [0.2, 0.36]}
    train = {**DOCUMENT["train"], "distill": {"epochs": 4}}
    _, scheduler = run(
        tmp_path, space=recipes, train=train, prune={"method": "magnitude"}, search=searching(trials=6)
    )
    alone = [r for r in scheduler.records.finished.values() if r.id.startswith("baseline-alone")]
    assert {record.spec.distill.recipe.lr for record in alone} == {0.1, 0.05, 0.02}
    best = max(alone, key=lambda record: record.values[VAL_ACCURACY])
    own = [
        r
        for r in scheduler.records.finished.values()
        if r.kind == "confirm" and r.teacher is None and r.baselines.get("alone") == r.config
    ]
    assert {record.spec.distill.recipe.lr for record in own} == {best.spec.distill.recipe.lr}
    assert len(own) == 2


def test_the_order_of_records_does_not_decide_between_equals() -> None:
    records = [replace(record, values={VAL_ACCURACY: 0.5}) for record in trials(a=2, b=2)]
    more = [
        replace(record, number=None, kind="baseline", id=f"baseline-fair-{record.id}") for record in records
    ]
    first = leaders([*records, *more], Aims())
    assert leaders([*more, *reversed(records)], Aims()) == first
    assert {record.kind for record in first} == {"search"}


def test_each_student_is_compared_with_its_like_and_alone(tmp_path: Path) -> None:
    """Two students: as many trials for each pair that is compared, and each its own baseline, as the plan counts."""
    sections: dict[str, Any] = {
        "student": {},
        "space": {**DOCUMENT["space"], "student.model": ["convnet_s", "resnet8"]},
        "search": searching(trials=14, sampler="random"),
        "confirm": {"teachers": 2, "seeds": 2},
    }
    watching, scheduler = run(tmp_path, **sections)
    found = scheduler.records.finished.values()
    alone = {r.spec.student.model for r in found if r.id.startswith("baseline-alone")}
    assert alone == {"convnet_s", "resnet8"}
    confirmed = {
        (r.spec.student.model, r.spec.prune is None) for r in found if r.kind == "confirm" and r.teacher
    }
    assert confirmed == {(model, dense) for model in alone for dense in (True, False)}
    counts: dict[tuple[str, str], int] = {}
    for record in found:
        if record.teacher and record.kind != "confirm":
            pair = record.teacher.config, record.spec.student.model
            counts[pair] = counts.get(pair, 0) + 1
    leading = {
        (r.teacher.config, r.spec.student.model)
        for r in found
        if r.kind == "confirm" and r.teacher and "unpruned" in r.baselines
    }
    assert len(leading) == 4
    assert len({counts[pair] for pair in leading}) == 1, counts
    assert scheduler.idle()
    ranking = rank_teachers(read_study(tmp_path / "small"))
    assert sorted({row.student for row in ranking.rows}) == ["convnet_s", "resnet8"]
    assert [row.rank for row in ranking.rows if row.confirmed].count(1) == 2
    assert overview(tmp_path / "small").best_of.keys() == {"convnet_s", "resnet8"}
    phases = [plan(space(tmp_path, **sections), draw=draw).phases for draw in range(5)]
    planned = {phase.students for found in phases for phase in found if phase.name == "confirmation"}
    assert sum(name.startswith("confirm") for name in watching.ids) in planned
