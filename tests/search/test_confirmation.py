"""The configurations that are confirmed, their pairs, and the jobs that follow from the records."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.objectives import Aims, Constraint, Objective
from pdsearch.pipeline.keys import config_key, student_key, teacher_config
from pdsearch.protocol import Job, StudentFacts
from pdsearch.records.trial_record import State, TrialRecord
from pdsearch.search.confirmation.finalists import (
    Finalist,
    finalists,
    front_members,
    leaders,
    with_teachers,
)
from pdsearch.search.confirmation.jobs import DerivedJobs, confirmations
from pdsearch.search.records import Records
from pdsearch.specs import StudentSpec
from tests.records.trial_records import finished, reports
from tests.search.scripted_trials import DESCRIBE, ledger, run_one, searching, space
from tests.some import some

VALUE = "student.val_accuracy"


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[TrialRecord]:
    """Twelve trials of three teachers: unpruned, 20 % and 36 %."""
    kept = ledger(space(tmp_path_factory.mktemp("confirm"), search=searching(sampler="random")))
    return [run_one(kept) for _ in range(12)]


def of(records: list[TrialRecord], ratio: float | None) -> list[TrialRecord]:
    return [record for record in records if record.teacher is not None and record.teacher.ratio == ratio]


def ended(record: TrialRecord, value: float, epochs: int = 4, state: State = "complete") -> TrialRecord:
    values = {**record.values, VALUE: value}
    return replace(record, values=values, reports=reports(*[0.5] * epochs), state=state)


def test_a_teacher_leads_by_epochs_reached_then_by_value(records: list[TrialRecord]) -> None:
    a, b = of(records, 0.2)[0], of(records, 0.36)[0]
    early, late = ended(a, 0.99, epochs=1, state="stopped"), ended(b, 0.6)
    assert leaders([early, late], Aims()) == [late, early]
    better = ended(a, 0.7)
    assert leaders([early, late, better], Aims()) == [better, late]
    assert leaders([late, better], Aims((Objective(VALUE, "minimize"),))) == [late, better]


@pytest.mark.parametrize("state", ["failed", "infeasible"])
def test_what_did_not_train_to_an_end_leads_nothing(records: list[TrialRecord], state: State) -> None:
    broken = replace(records[0], state=state, values={})
    assert leaders([broken], Aims()) == []


@pytest.mark.parametrize("state", ["complete", "stopped"])
def test_what_breaks_a_constraint_leads_nothing(records: list[TrialRecord], state: State) -> None:
    """An older version called such a trial complete."""
    a, b = ended(of(records, 0.2)[0], 0.42, state=state), ended(of(records, 0.36)[0], 0.91)
    aims = Aims((Objective("student.params", "minimize"),), (Constraint(VALUE, ">=", 0.9),))
    assert leaders([a, b], aims) == [b]


def test_the_unpruned_teacher_s_own_best_runs_beside_the_pruned_leaders(
    records: list[TrialRecord],
) -> None:
    chosen, own_best = finalists(records, teachers=1, aims=Aims())
    best = max(of(records, 0.2) + of(records, 0.36), key=lambda record: record.values[VALUE])
    dense = max(of(records, None), key=lambda record: record.values[VALUE])
    assert [student_key(finalist.spec) for finalist in chosen] == [best.key]
    assert [student_key(finalist.spec) for finalist in own_best] == [dense.key]
    assert own_best[0].shape == StudentSpec("convnet_s")
    assert len(finalists(records, teachers=9, aims=Aims())[0]) == 2


def of_model(record: TrialRecord, model: str, value: float) -> TrialRecord:
    """The same trial with a teacher of another architecture."""
    spec = replace(record.spec, teacher=replace(record.spec.teacher, model=model))
    was = some(record.teacher)
    teacher = replace(was, config=model + was.config, model=model)
    return ended(replace(record, spec=spec, teacher=teacher), value)


def test_each_leader_is_compared_with_the_dense_teacher_it_was_pruned_from(
    records: list[TrialRecord],
) -> None:
    dense, pruned = of(records, None)[0], of(records, 0.2)[0]
    trials = [
        *(of_model(dense, model, value) for model, value in {"a": 0.5, "b": 0.6, "c": 0.7}.items()),
        *(of_model(pruned, model, value) for model, value in {"a": 0.9, "b": 0.1}.items()),
    ]
    chosen, own_best = finalists(trials, teachers=1, aims=Aims())
    assert [finalist.spec.teacher.model for finalist in chosen] == ["a"]
    assert [finalist.spec.teacher.model for finalist in own_best] == ["c", "a"]


def test_as_many_teachers_are_confirmed_as_are_asked_for_pruned_or_not(
    records: list[TrialRecord],
) -> None:
    """Of three unpruned architectures one was confirmed, whatever was asked for."""
    dense = of(records, None)[0]
    trials = [of_model(dense, model, value) for model, value in {"a": 0.5, "b": 0.6, "c": 0.7}.items()]
    for teachers, expected in ((1, "c"), (2, "cb"), (3, "cba"), (9, "cba")):
        chosen, others = finalists(trials, teachers=teachers, aims=Aims())
        assert chosen == []
        assert [finalist.spec.teacher.model for finalist in others] == list(expected)
    pruned = of_model(of(records, 0.2)[0], "a", 0.1)
    chosen, others = finalists([*trials, pruned], teachers=3, aims=Aims())
    assert [finalist.spec.teacher.model for finalist in [*chosen, *others]] == ["a", "c", "b", "a"]


def augmented(record: TrialRecord, augment: str, value: float) -> TrialRecord:
    """The same trial with its teacher, and hence all else, trained on other views."""
    spec = replace(record.spec, data=replace(record.spec.data, augment=augment))
    teacher = replace(some(record.teacher), config=teacher_config(spec))
    return ended(replace(record, spec=spec, teacher=teacher), value)


def test_teachers_that_differ_in_their_augmentation_are_teachers_of_their_own(
    records: list[TrialRecord],
) -> None:
    """`teachers: 1` confirmed every one of them, for they were taken for the same."""
    dense, pruned = of(records, None)[0], of(records, 0.2)[0]
    kinds = {"none": 0.5, "flip": 0.8, "crop": 0.6, "flip+crop": 0.7}
    trials = [augmented(dense, *kind) for kind in kinds.items()]
    chosen, others = finalists(trials, teachers=1, aims=Aims())
    assert chosen == []
    assert [finalist.spec.data.augment for finalist in others] == ["flip"]
    chosen, others = finalists([*trials, augmented(pruned, "crop", 0.1)], teachers=1, aims=Aims())
    assert [finalist.spec.data.augment for finalist in [*chosen, *others]] == ["crop", "flip", "crop"]


def found_finalists(records: list[TrialRecord], teachers: int) -> list[Finalist]:
    chosen, own_best = finalists(records, teachers=teachers, aims=Aims())
    return [*chosen, *own_best]


def jobs(records: list[TrialRecord], teachers: int = 1, seeds: int = 2, teacher_seeds: int = 1) -> list[Job]:
    found = found_finalists(records, teachers)
    return list(confirmations(found, seeds=seeds, teacher_seeds=teacher_seeds))


def test_every_finalist_has_its_pairs_by_seed(records: list[TrialRecord]) -> None:
    found = jobs(records, teachers=2, seeds=3)
    by_config = {(config_key(job.spec), job.spec.distill.seed) for job in found}
    finalist_jobs = [job for job in found if "unpruned" in job.baselines]
    assert len(finalist_jobs) == 3 * 3
    for job in found:
        for config in job.baselines.values():
            assert (config, job.spec.distill.seed) in by_config
    assert {job.spec.distill.seed for job in found} == {1, 2, 3}
    assert all(job.spec.distill.seed == job.spec.distill.view_seed for job in found)


def test_whatever_has_a_teacher_is_compared_with_the_student_alone(records: list[TrialRecord]) -> None:
    for job in jobs(records, teachers=2, seeds=2):
        assert ("alone" in job.baselines) == (job.spec.distill.loss != "ce")


def test_a_job_is_named_once_and_may_open_the_test_set(records: list[TrialRecord]) -> None:
    found = jobs(records)
    assert len({job.key for job in found}) == len({job.id for job in found}) == len(found)
    assert all(job.test and job.kind == "confirm" and job.number is None for job in found)
    # The finalist, its two pairs, and the unpruned teacher's own best with its student alone.
    assert len(found) == 2 * 5 - 2 * shared(records)


def shared(records: list[TrialRecord]) -> int:
    """One run serves as the student alone of both finalists: without a teacher there is no temperature."""
    (pruned,), (dense,) = finalists(records, teachers=1, aims=Aims())
    return int(pruned.shape == dense.shape)


def test_whole_seeds_come_first_so_that_an_early_end_leaves_pairs(records: list[TrialRecord]) -> None:
    seeds = [job.spec.distill.seed for job in jobs(records, seeds=3)]
    assert seeds == sorted(seeds)


def test_further_teachers_are_other_seeds_of_the_same_jobs(records: list[TrialRecord]) -> None:
    once, thrice = jobs(records, teachers=2), jobs(records, teachers=2, teacher_seeds=3)
    assert [job.key for job in thrice[: len(once)]] == [job.key for job in once]
    assert {job.spec.teacher.seed for job in thrice} == {0, 1, 2}
    own = [job for job in thrice if job.baselines]
    assert len(own) == 3 * len([job for job in once if job.baselines])
    by_config = {(config_key(job.spec), job.spec.distill.seed) for job in thrice}
    assert all(
        (config, job.spec.distill.seed) in by_config for job in own for config in job.baselines.values()
    )


def test_a_student_alone_has_no_teacher_to_be_trained_again(records: list[TrialRecord]) -> None:
    lone = [job for job in jobs(records, seeds=3, teacher_seeds=3) if job.spec.distill.loss == "ce"]
    assert len(lone) == 3 * (2 - shared(records))


def test_with_several_teachers_a_student_keeps_the_shape_it_was_found_with(
    records: list[TrialRecord],
) -> None:
    record = of(records, 0.2)[0]
    spec = replace(record.spec, student=replace(record.spec.student, model="from_teacher"))
    shaped = replace(record, spec=spec, student=StudentFacts(model="convnet_s", options={"width": 3}))
    chosen, _ = finalists([shaped], teachers=1, aims=Aims())
    assert [finalist.spec.student.model for finalist in with_teachers(chosen, 1)] == ["from_teacher"]
    assert [finalist.spec.student for finalist in with_teachers(chosen, 2)] == [chosen[0].shape] * 2


def of_student(record: TrialRecord, model: str, value: float, params: float = 900.0) -> TrialRecord:
    """The same trial with another student."""
    spec = replace(record.spec, student=StudentSpec(model))
    shape = StudentFacts(model=model, params=int(params))
    name = f"search-{record.number:05d}-{model}"
    found = ended(replace(record, id=name, spec=spec, student=shape), value)
    return replace(found, values={**found.values, "student.params": params})


def test_students_of_different_size_take_turns_within_the_budget(records: list[TrialRecord]) -> None:
    """The five best trials may all be of the largest student."""
    dense, light, heavy = (of(records, ratio)[0] for ratio in (None, 0.2, 0.36))
    trials = [
        *(
            of_student(record, "large", value)
            for record, value in ((light, 0.9), (heavy, 0.8), (dense, 0.85))
        ),
        *(of_student(record, "small", value) for record, value in ((light, 0.5), (heavy, 0.6), (dense, 0.7))),
    ]
    chosen, beside = finalists(trials, teachers=2, aims=Aims())
    assert [(one.student, one.spec.prune and one.spec.prune.ratio) for one in chosen] == [
        ("large", 0.2),
        ("small", 0.36),
    ]
    assert [one.student for one in beside] == ["large", "small"], "each with its own unpruned teacher"
    chosen, beside = finalists(trials, teachers=1, aims=Aims())
    assert [one.student for one in [*chosen, *beside]] == ["large", "large"]


def test_of_a_front_those_members_are_confirmed_that_make_up_most_of_it(records: list[TrialRecord]) -> None:
    aims = Aims((Objective(VALUE, "maximize"), Objective("student.params", "minimize")))
    trial = of(records, 0.2)[0]
    values = {"a": (0.9, 1000.0), "b": (0.8, 100.0), "c": (0.79, 99.0), "d": (0.1, 5000.0)}
    trials = [of_student(trial, name, *value) for name, value in values.items()]
    members = [
        [one.student for one in front_members(trials, most=most, all_of=all_of, aims=aims)]
        for most, all_of in ((9, False), (9, True), (1, True), (0, True))
    ]
    assert members == [["b", "a"], ["b", "a", "c"], ["b"], []]
    assert front_members(trials, most=9, all_of=True, aims=Aims()) == [], "one objective has no front"


CONFIRM = {"teachers": 2, "seeds": 2}


def listed(folder: Path, **sections: Any) -> DerivedJobs:
    searched = space(folder, **sections)
    return DerivedJobs(searched, DESCRIBE, Records(folder / searched.study / "trials"))


@pytest.fixture
def tried(tmp_path: Path) -> Path:
    """A folder in which eight trials have finished."""
    kept = ledger(space(tmp_path))
    for _ in range(8):
        run_one(kept)
    return tmp_path


def test_the_student_alone_learns_without_a_teacher_under_its_key(tmp_path: Path) -> None:
    (job,) = listed(tmp_path).student_alone()
    assert (job.kind, job.number, job.spec.distill.loss) == ("baseline", None, "ce")
    assert job.id == f"baseline-alone-{job.key[:12]}"


def test_a_student_that_its_teacher_shapes_is_not_trained_alone(tmp_path: Path) -> None:
    assert not list(listed(tmp_path, student={"model": "from_teacher"}).student_alone())


def test_nothing_is_confirmed_where_nobody_wants_it(tried: Path) -> None:
    assert not list(listed(tried, confirm="off").confirming())


def test_the_same_records_list_the_same_jobs(tried: Path) -> None:
    first, again = (list(listed(tried, confirm=CONFIRM).confirming()) for _ in range(2))
    assert first == again
    assert {job.kind for job in first} == {"confirm"}
    assert {job.spec.distill.seed for job in first} == {1, 2}


def test_only_trials_that_were_sampled_reach_the_confirmation(tried: Path) -> None:
    found = listed(tried, confirm=CONFIRM)
    before = [job.key for job in found.confirming()]
    best = max(found.records.finished.values(), key=lambda record: record.values["student.val_accuracy"])
    assert best.teacher is not None
    found.records.finished["confirm-x"] = replace(
        best,
        kind="confirm",
        number=None,
        values={**best.values, "student.val_accuracy": 1.0},
        teacher=replace(best.teacher, config="e" * 64),
    )
    assert [job.key for job in found.confirming()] == before


def test_every_finalists_teacher_is_trained_with_each_seed(tried: Path) -> None:
    jobs = list(listed(tried, confirm={**CONFIRM, "teacher_seeds": 3}).teachers_to_confirm())
    assert [(job.kind, job.spec.teacher.seed) for job in jobs] == [("teacher", seed) for seed in range(3)]


def test_what_was_confirmed_as_one_network_keeps_its_key_and_is_not_repeated(tmp_path: Path) -> None:
    kept = ledger(space(tmp_path))
    for _ in range(8):
        run_one(kept)
    searched = space(tmp_path, confirm={"teachers": 2, "seeds": 2})
    found = DerivedJobs(searched, DESCRIBE, Records(tmp_path / searched.study / "trials"))
    first, *others = jobs = list(found.confirming())
    config = config_key(first.spec)
    spec = replace(first.spec, distill=replace(first.spec.distill, replicas=(1, 2)))
    found.records.finished["confirm-earlier"] = finished(None, config=config, spec=spec)
    again, *rest = found.confirming()
    assert (again.spec, again.key, again.baselines) == (spec, student_key(spec), first.baselines)
    assert again.key not in {job.key for job in jobs}
    assert rest == others, "a seed that was to be trained with it and was not is trained alone"
