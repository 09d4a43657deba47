"""A student starts from its own seed, and its record holds its shape and size."""

from dataclasses import replace

import pytest
import torch

from pdsearch.errors import ConfigError, TrialError
from pdsearch.models import count_params
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.keys import needs_teacher, starting, student_key
from pdsearch.pipeline.networks import Teacher
from pdsearch.pipeline.prune import teacher
from pdsearch.pipeline.student import Student, built, student
from pdsearch.protocol import Ready
from pdsearch.search.confirmation.jobs import alone, unpruned_spec
from pdsearch.specs import StudentSpec, TeacherSpec, TrialSpec
from tests.own_code import Author
from tests.pipeline.digits import ALONE, DENSE, SPEC, data, distilled, finish, pruned, run
from tests.some import some

SHAPED = StudentSpec("from_teacher")


def made(spec: TrialSpec, at: WorkerContext) -> tuple[Student, Teacher]:
    images = data(spec, at)
    network: Teacher = finish(teacher(spec, images, at))[1]
    return student(spec, images, network, at), network


def test_its_facts_are_those_of_its_network(here: WorkerContext) -> None:
    images = data(ALONE, here)
    found = student(ALONE, images, None, here)
    assert found.params == count_params(found.model)
    assert found.shape == ALONE.student
    facts = {"model": "convnet_s", "options": {}, "params": found.params, "flops": found.flops}
    assert found.facts().as_built() == facts
    # First layer alone: 8x8 positions, 8 filters of 3x3, two operations each.
    assert found.flops > 8 * 8 * 8 * 9 * 2


def test_its_weights_come_from_the_trial_s_seed_and_not_the_teacher_s(here: WorkerContext) -> None:
    images = data(ALONE, here)

    def weights(spec: TrialSpec) -> torch.Tensor:
        return torch.cat([p.flatten() for p in student(spec, images, None, here).model.parameters()])

    other_teacher = replace(ALONE, teacher=replace(ALONE.teacher, seed=9))
    assert torch.equal(weights(ALONE), weights(other_teacher))
    assert not torch.equal(weights(ALONE), weights(distilled(ALONE, seed=1)))


def test_every_trial_gets_a_fresh_one(here: WorkerContext) -> None:
    images = data(ALONE, here)
    assert student(ALONE, images, None, here).model is not student(ALONE, images, None, here).model


def test_one_shaped_by_a_dense_teacher_is_as_large_and_by_a_pruned_one_no_larger(here: WorkerContext) -> None:
    same, dense = made(replace(DENSE, student=SHAPED), here)
    assert same.params == count_params(dense.model)
    smaller, _ = made(replace(pruned(ratio=0.9), student=SHAPED), here)
    assert smaller.params < same.params
    assert smaller.shape.model == "convnet_s"
    assert smaller.facts().options == dict(smaller.shape.options)


def test_one_that_is_to_be_shaped_needs_a_teacher(here: WorkerContext) -> None:
    spec = replace(ALONE, student=SHAPED)
    with pytest.raises(TrialError, match="needs one"):
        student(spec, data(SPEC, here), None, here)


def plain(author: Author, method: str, init: str = "fresh") -> TrialSpec:
    spec = pruned(method=method, ratio=0.5, schedule="one_shot")
    return replace(
        spec,
        teacher=TeacherSpec(f"{author.write()}:Plain", 0, spec.teacher.recipe),
        student=StudentSpec("from_teacher", init=init),
    )


@pytest.mark.parametrize("method", ["magnitude", "filter_l2"])
@pytest.mark.parametrize("init", ["fresh", "kept"])
def test_any_network_shapes_a_student(here: WorkerContext, author: Author, method: str, init: str) -> None:
    spec = plain(author, method, init=init)
    found, network = made(spec, here)
    assert found.facts().widths == {
        name: (n, {"0.weight": 8, "3.weight": 12}[name]) for name, n in found.shape.widths
    }
    assert found.params == sum(
        weight.numel() for weight in built(found.shape, data(spec, here), seed=0).parameters()
    )
    assert found.params < 0.7 * count_params(made(replace(spec, prune=None), here)[1].model)
    if method == "filter_l2":
        assert found.params == count_params(network.model)
    same = [
        torch.equal(a, b)
        for a, b in zip(found.model.parameters(), network.model.parameters(), strict=True)
        if a.shape == b.shape
    ]
    assert all(same) is (init == "kept")


def test_a_stored_student_of_another_shape_is_not_taken_for_it(
    here: WorkerContext, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions differ in the channels that they can remove; keys name the configuration, not what it leaves."""
    spec = plain(author, "magnitude")
    with monkeypatch.context() as earlier:
        earlier.setattr("pdsearch.pipeline.student.implied_widths", lambda *_: {"0.weight": 7})
        (_, before), (_, again) = run(spec, here), run(spec, here)
    events, now = run(spec, here)
    (ready,) = (event for event in events if isinstance(event, Ready))
    assert before.student == again.student == student_key(spec), "what is stored is used"
    assert now.state == "complete", now.reason
    assert now.values["student.params"] == ready.student.params != before.values["student.params"]
    assert now.student != before.student
    held = some(here.store.find("student", before.student))
    assert held.meta["params"] == before.values["student.params"], "earlier records keep theirs"
    assert run(spec, here)[1].student == now.student


def test_a_named_shape_is_that_which_a_teacher_gave(here: WorkerContext, author: Author) -> None:
    """Baselines and further teachers' students are built by the shape alone."""
    spec = plain(author, "magnitude")
    found, _ = made(spec, here)
    again = student(replace(spec, student=found.shape), data(spec, here), None, here)
    assert again.facts() == found.facts()
    assert all(map(torch.equal, again.model.state_dict().values(), found.model.state_dict().values()))


def test_baselines_of_kept_weights_start_from_the_same(here: WorkerContext, author: Author) -> None:
    spec = plain(author, "filter_l2", init="kept")
    shape = replace(spec.student, start=spec.prune)
    found, _ = made(spec, here)
    for baseline, teaches in ((unpruned_spec(spec, shape), True), (alone(spec, shape), False)):
        assert needs_teacher(baseline) is teaches
        assert starting(baseline).prune == spec.prune
        assert student_key(baseline) != student_key(spec)
        same, _ = made(starting(baseline), here)
        assert all(map(torch.equal, same.model.state_dict().values(), found.model.state_dict().values()))
        events, outcome = run(baseline, here)
        assert outcome.state == "complete", outcome.reason
        (ready,) = (event for event in events if isinstance(event, Ready))
        assert ready.student == found.facts()
        assert (ready.teacher is None) is not teaches
    assert student_key(replace(spec, student=shape)) == student_key(spec)


def test_a_network_that_can_lose_no_channels_is_refused_with_the_reason(
    here: WorkerContext, author: Author
) -> None:
    spec = plain(author, "magnitude")
    spec = replace(spec, teacher=replace(spec.teacher, model=spec.teacher.model.replace("Plain", "Paired")))
    with pytest.raises(ConfigError, match=r"no student can be shaped from .*:Paired'") as caught:
        made(spec, here)
    assert caught.value.where == "student.model"
