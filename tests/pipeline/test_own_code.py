"""A trial runs a user's own code as it was when the study was opened, and no other version."""

from dataclasses import replace

import pytest

from pdsearch.errors import ConfigError
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.keys import dense_key, round_keys, student_key
from pdsearch.pipeline.trial import check_own_code
from pdsearch.specs import TrialSpec, spec_from_json, spec_to_json
from pdsearch.user_code import source_hash
from tests.own_code import NETS, Author
from tests.pipeline.digits import SPEC, facts, pruned, run


def own(module: str) -> TrialSpec:
    """A trial of nothing but one's own."""
    assert SPEC.prune is not None
    model, method, loss = (f"{module}:{name}" for name in ("Shaped", "sized", "squared"))
    return replace(
        SPEC,
        teacher=replace(SPEC.teacher, model=model, code=source_hash(model)),
        student=replace(SPEC.student, model=f"{module}:flat", code=source_hash(f"{module}:flat")),
        prune=replace(SPEC.prune, method=method, params=(("power", 2.0),), code=source_hash(method)),
        distill=replace(SPEC.distill, loss=loss, params=(("weight", 0.5),), code=source_hash(loss)),
    )


def test_a_trial_of_one_s_own_parts_runs_from_end_to_end(author: Author, here: WorkerContext) -> None:
    spec = own(author.write())
    assert spec_from_json(spec_to_json(spec)) == spec
    _, outcome = run(spec, here)
    assert (outcome.state, outcome.reason) == ("complete", None)


@pytest.mark.parametrize("method", ["magnitude", "filter_l1"])
def test_a_student_is_shaped_from_one_s_own_teacher(author: Author, here: WorkerContext, method: str) -> None:
    spec = pruned(own(author.write()), method=method, ratio=0.36, params=(), code="")
    events, outcome = run(replace(spec, student=replace(spec.student, model="from_teacher", code="")), here)
    assert (outcome.state, outcome.reason) == ("complete", None)
    options = facts(events).student["options"]
    assert isinstance(options, dict)
    assert options["widths"] != [4, 6]


def test_a_loss_that_compares_features_is_refused_with_the_reason(
    author: Author, here: WorkerContext
) -> None:
    spec = own(author.write())
    _, outcome = run(replace(spec, distill=replace(spec.distill, loss="rkd", params=(), code="")), here)
    assert outcome.state == "failed"
    assert outcome.reason is not None
    assert outcome.reason.startswith("distill.loss: rkd compares features, and Sequential shows none")


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
