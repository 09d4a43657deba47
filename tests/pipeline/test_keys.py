"""Keys of stages, and the hashes of own code in them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.errors import ConfigError
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.keys import (
    STAGE_VERSIONS,
    check_own_code,
    config_key,
    data_key,
    dense_key,
    early_key,
    needs_teacher,
    outputs_key,
    round_keys,
    student_key,
    teacher_config,
    teacher_key,
)
from pdsearch.records.codec import decode, encode
from pdsearch.specs import Recipe, TrialSpec
from pdsearch.user_code import source_hash
from tests.own_code import NETS, Author
from tests.pipeline.digits import ALONE, DENSE, RECIPE, SPEC, distilled, facts, pruned, run
from tests.some import some

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "stage_keys.json").read_text())
RATIOS = {0.2: 1, 0.36: 2, 0.59: 4, 0.79: 7}


def all_keys(spec: TrialSpec) -> dict[str, Any]:
    return {
        "data": data_key(spec.data),
        "teacher": dense_key(spec),
        "rounds": list(round_keys(spec)),
        "outputs": outputs_key(spec, block=1, epochs_per_block=8),
        "student": student_key(spec),
        "config": config_key(spec),
        "teacher_config": teacher_config(spec),
    }


@pytest.mark.parametrize("name", ["pruned", "dense", "init", "finetune"])
def test_published_keys_never_change(name: str) -> None:
    specs = {
        "pruned": SPEC,
        "dense": DENSE,
        "init": pruned(at="init"),
        "finetune": pruned(recovery="finetune", exclude=("*.bias",)),
    }
    assert all_keys(specs[name]) == GOLDEN[name]


def test_an_early_epoch_is_part_of_the_rounds_that_go_back_to_it() -> None:
    rewound = [round_keys(pruned(recovery="rewind", rewind_epoch=epoch)) for epoch in (0, 1, 2)]
    assert len({key for keys in rewound for key in keys}) == 6
    assert rewound[0] == round_keys(pruned(recovery="rewind"))
    assert early_key(SPEC, 1) != early_key(SPEC, 2)


@pytest.mark.parametrize(
    ("field", "value", "reads_it", "does_not"),
    [("round_to", 8, "filter_l2", "magnitude"), ("weights", "matrices", "magnitude", "filter_l2")],
)
def test_what_one_kind_of_method_reads_is_in_its_keys_alone(
    field: str, value: Any, reads_it: str, does_not: str
) -> None:
    def rounds(method: str, **fields: Any) -> set[str]:
        return {*round_keys(pruned(method=method, **fields))}

    assert rounds(reads_it, **{field: value}).isdisjoint(rounds(reads_it))
    assert rounds(does_not, **{field: value}) == rounds(does_not)


def test_a_stage_s_version_is_raised_on_purpose() -> None:
    assert GOLDEN["versions"] == STAGE_VERSIONS


@pytest.mark.parametrize(("ratio", "rounds"), RATIOS.items())
def test_geometric_ratios_are_rounds_of_one_chain(ratio: float, rounds: int) -> None:
    chain = round_keys(pruned(ratio=0.79))
    assert round_keys(pruned(ratio=ratio)) == chain[:rounds]
    assert len(set(chain)) == 7


def test_one_shot_shares_the_first_round() -> None:
    assert round_keys(pruned(ratio=0.2, schedule="one_shot")) == round_keys(pruned(ratio=0.59))[:1]


def test_at_init_only_the_last_round_trains_so_a_shorter_chain_is_not_shared_whole() -> None:
    short, long = round_keys(pruned(ratio=0.36, at="init")), round_keys(pruned(ratio=0.59, at="init"))
    assert short[:1] == long[:1]
    assert short[1] != long[1]


TEACHER_CHANGES: dict[str, Callable[[TrialSpec], TrialSpec]] = {
    "precision": lambda spec: replace(spec, precision="bf16"),
    "augment": lambda spec: replace(spec, data=replace(spec.data, augment="crop")),
    "split": lambda spec: replace(spec, data=replace(spec.data, split_seed=1)),
    "fingerprint": lambda spec: replace(spec, data=replace(spec.data, fingerprint="e" * 64)),
    "subset": lambda spec: replace(spec, data=replace(spec.data, subset=90)),
    "teacher seed": lambda spec: replace(spec, teacher=replace(spec.teacher, seed=1)),
    "teacher model": lambda spec: replace(spec, teacher=replace(spec.teacher, model="convnet_m")),
    "teacher recipe": lambda spec: replace(
        spec, teacher=replace(spec.teacher, recipe=Recipe(epochs=3, lr=0.05))
    ),
    "teacher option": lambda spec: replace(spec, teacher=replace(spec.teacher, options=(("width", 2),))),
}
PRUNE_CHANGES: dict[str, dict[str, Any]] = {
    "method": {"method": "random"},
    "scope": {"scope": "layer"},
    "erk": {"scope": "erk"},
    "sensitivity": {"scope": "sensitivity"},
    "recovery": {"recovery": "finetune"},
    "recipe": {"recipe": replace(RECIPE, lr=0.01)},
    "exclude": {"exclude": ("classifier*",)},
    "at": {"at": "init"},
    "params": {"params": (("x", 1),)},
    "weights": {"weights": "matrices"},
}
STUDENT_CHANGES: dict[str, Callable[[TrialSpec], TrialSpec]] = {
    "seed": lambda spec: distilled(spec, seed=1),
    "views": lambda spec: distilled(spec, view_seed=1),
    "temperature": lambda spec: distilled(spec, params=(("alpha", 0.5), ("temperature", 5.0))),
    "recipe": lambda spec: distilled(spec, recipe=replace(RECIPE, select="best_val")),
    "student": lambda spec: replace(spec, student=replace(spec.student, model="convnet_m")),
}


@pytest.mark.parametrize("name", TEACHER_CHANGES)
def test_what_changes_the_teacher_changes_all_after_it(name: str) -> None:
    changed = TEACHER_CHANGES[name](SPEC)
    before, after = all_keys(SPEC), all_keys(changed)
    for stage in ("teacher", "outputs", "student", "config"):
        assert before[stage] != after[stage]
    assert not set(before["rounds"]) & set(after["rounds"])
    assert (before["data"] != after["data"]) == (name in ("split", "fingerprint", "subset"))


@pytest.mark.parametrize("name", PRUNE_CHANGES)
def test_what_changes_a_round_leaves_the_dense_teacher(name: str) -> None:
    changed = pruned(**PRUNE_CHANGES[name])
    assert dense_key(changed) == dense_key(SPEC)
    assert not set(round_keys(changed)) & set(round_keys(SPEC))
    assert student_key(changed) != student_key(SPEC)


@pytest.mark.parametrize("name", STUDENT_CHANGES)
def test_what_changes_the_student_leaves_the_teacher(name: str) -> None:
    changed = STUDENT_CHANGES[name](SPEC)
    assert teacher_key(changed) == teacher_key(SPEC)
    assert student_key(changed) != student_key(SPEC)


def test_where_the_images_lie_is_no_part_of_any_key() -> None:
    moved = replace(SPEC, data=replace(SPEC.data, root="elsewhere", source="other"))
    assert all_keys(moved) == all_keys(SPEC)


@pytest.mark.parametrize("fields", [{"schedule": "geometric", "rounds": 5}, {"ratio": 0.37}])
def test_what_makes_no_difference_makes_no_key(fields: dict[str, Any]) -> None:
    assert student_key(pruned(**fields)) == student_key(SPEC)


def test_a_recipe_that_recovers_nothing_is_no_part_of_a_key() -> None:
    none = pruned(recovery="none")
    assert round_keys(none) == round_keys(pruned(none, recipe=Recipe(epochs=9, lr=1.0)))


def test_a_student_alone_has_no_teacher_in_its_key() -> None:
    assert not needs_teacher(ALONE)
    assert needs_teacher(DENSE)
    other = replace(ALONE, teacher=replace(ALONE.teacher, seed=7))
    assert student_key(other) == student_key(ALONE)
    shaped = replace(ALONE, student=replace(ALONE.student, model="from_teacher"))
    assert needs_teacher(shaped)


def test_outputs_are_shared_by_all_losses_and_students_of_a_teacher() -> None:
    def block(spec: TrialSpec, number: int = 0) -> str:
        return outputs_key(spec, block=number, epochs_per_block=8)

    other = replace(distilled(seed=3, params=()), student=replace(SPEC.student, model="convnet_m"))
    assert block(other) == block(SPEC)
    assert len({block(SPEC), block(SPEC, 1), block(distilled(view_seed=1)), block(DENSE)}) == 4


def test_a_configuration_is_the_same_for_every_student_s_seed_and_a_teacher_s_for_every_teacher_s() -> None:
    assert config_key(distilled(seed=4, view_seed=4)) == config_key(SPEC)
    other = replace(SPEC, teacher=replace(SPEC.teacher, seed=4))
    assert teacher_config(other) == teacher_config(SPEC)
    assert teacher_key(other) != teacher_key(SPEC)
    assert config_key(other) != config_key(SPEC)


def own(module: str) -> TrialSpec:
    """A trial of nothing but one's own."""
    model, method, loss = (f"{module}:{name}" for name in ("Shaped", "sized", "squared"))
    return replace(
        SPEC,
        teacher=replace(SPEC.teacher, model=model, code=source_hash(model)),
        student=replace(SPEC.student, model=f"{module}:flat", code=source_hash(f"{module}:flat")),
        prune=replace(some(SPEC.prune), method=method, params=(("power", 2.0),), code=source_hash(method)),
        distill=replace(SPEC.distill, loss=loss, params=(("weight", 0.5),), code=source_hash(loss)),
    )


def test_a_trial_of_one_s_own_parts_runs_from_end_to_end(author: Author, here: WorkerContext) -> None:
    spec = own(author.write())
    assert decode(TrialSpec, encode(spec)) == spec
    _, outcome = run(spec, here)
    assert (outcome.state, outcome.reason) == ("complete", None)


@pytest.mark.parametrize("method", ["magnitude", "filter_l1"])
def test_a_student_is_shaped_from_one_s_own_teacher(author: Author, here: WorkerContext, method: str) -> None:
    spec = pruned(own(author.write()), method=method, ratio=0.36, params=(), code="")
    events, outcome = run(replace(spec, student=replace(spec.student, model="from_teacher", code="")), here)
    assert (outcome.state, outcome.reason) == ("complete", None)
    options = facts(events).student.options
    assert isinstance(options, dict)
    assert options["widths"] != [4, 6]


def test_a_loss_that_compares_features_is_refused_with_the_reason(
    author: Author, here: WorkerContext
) -> None:
    spec = own(author.write())
    _, outcome = run(replace(spec, distill=replace(spec.distill, loss="rkd", params=(), code="")), here)
    assert outcome.state == "failed"
    assert str(outcome.reason).startswith("distill.loss: rkd compares features, and Sequential shows none")


def test_every_key_that_depends_on_a_file_changes_with_it(author: Author) -> None:
    spec = own(author.write())
    teacher = replace(spec, teacher=replace(spec.teacher, code="0" * 64))
    assert dense_key(teacher) != dense_key(spec)
    assert not {*round_keys(teacher)} & {*round_keys(spec)}
    first, second = (pruned(each, at="init") for each in (spec, teacher))
    assert not {*round_keys(first)} & {*round_keys(second)}
    method = pruned(spec, code="0" * 64)
    assert dense_key(method) == dense_key(spec)
    assert not {*round_keys(method)} & {*round_keys(spec)}
    for part in ("student", "distill"):
        other = replace(spec, **{part: replace(getattr(spec, part), code="0" * 64)})
        assert dense_key(other) == dense_key(spec)
        assert student_key(other) != student_key(spec)


@pytest.mark.parametrize("part", ["teacher", "prune", "student", "distill"])
def test_another_file_than_the_study_s_fails_the_trial(
    author: Author, here: WorkerContext, part: str
) -> None:
    spec, other = own(author.write()), own(author.write(NETS + "\n# another\n"))
    check_own_code(spec)
    mixed = replace(spec, **{part: replace(getattr(spec, part), code=getattr(other, part).code)})
    with pytest.raises(ConfigError, match="its file is not the one the study was opened with"):
        check_own_code(mixed)
    _, outcome = run(mixed, here)
    assert outcome.state == "failed"
    assert "its file is not the one" in str(outcome.reason)


def test_the_method_that_shaped_a_student_s_start_is_checked_too(author: Author) -> None:
    spec, other = own(author.write()), own(author.write(NETS + "\n# another\n"))
    start = replace(some(spec.prune), code=some(other.prune).code)
    with pytest.raises(ConfigError, match="its file is not the one the study was opened with"):
        check_own_code(replace(spec, student=replace(spec.student, start=start)))
