"""What every registered distillation loss keeps to; a new file under losses/ is found by itself."""

import dataclasses

import pytest
import torch
from torch import Tensor

from pdsearch.distillation import DistillationLoss, FeatureShapes, Outputs, teach, wanted
from pdsearch.distillation.registry import losses

BATCH, CLASSES, IMAGES = 6, 5, 50
STUDENT = {"stage1": (4, 8, 8), "stage2": (6, 4, 4), "stage3": (7, 2, 2), "pooled": (7,)}
TEACHER = {"stage1": (5, 8, 8), "stage2": (8, 8, 8), "stage3": (12, 4, 4), "pooled": (12,)}


@pytest.fixture(params=sorted(losses))
def entry(request: pytest.FixtureRequest) -> DistillationLoss:
    return losses.get(request.param)


def outputs(
    shapes: FeatureShapes,
    seed: int,
    *,
    scale: float = 3.0,
    grad: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Outputs:
    """Logits and features as a network would show them; features at a tenth of the logits' scale."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int, by: float) -> Tensor:
        return (by * torch.randn(*shape, generator=generator)).to(dtype).requires_grad_(grad)

    logits = drawn(BATCH, CLASSES, by=scale)
    return Outputs(logits, {name: drawn(BATCH, *shape, by=scale / 10) for name, shape in shapes.items()})


def targets() -> Tensor:
    return torch.randint(CLASSES, (BATCH,), generator=torch.Generator().manual_seed(9))


def run(
    entry: DistillationLoss,
    student: Outputs,
    teacher: Outputs,
    labels: Tensor | None = None,
    index: Tensor | None = None,
) -> Tensor:
    """The loss of one batch with a fresh adapter."""
    params, generator = entry.params(), torch.Generator().manual_seed(4)
    adapter = entry.adapter and entry.adapter(STUDENT, TEACHER, IMAGES, generator, params)
    labels, index = targets() if labels is None else labels, torch.arange(BATCH) if index is None else index
    return teach(entry, student, teacher, labels, params=params, adapter=adapter, index=index)


def picked(given: Outputs, order: Tensor) -> Outputs:
    return Outputs(given.logits[order], {name: maps[order] for name, maps in given.features.items()})


def test_is_a_finite_scalar_that_teaches_the_student_only(entry: DistillationLoss) -> None:
    student, teacher = outputs(STUDENT, 0, grad=True), outputs(TEACHER, 1, grad=True)
    value = run(entry, student, teacher)
    assert value.shape == ()
    assert bool(torch.isfinite(value))
    value.backward()
    seen = [student.logits, *student.features.values()]
    gradients = [tensor.grad for tensor in seen if tensor.grad is not None]
    assert gradients
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    assert max(float(gradient.abs().max()) for gradient in gradients) > 0
    assert teacher.logits.grad is None
    assert all(maps.grad is None for maps in teacher.features.values())


def test_uses_the_features_it_declares_and_no_others(entry: DistillationLoss) -> None:
    student, teacher = outputs(STUDENT, 0), outputs(TEACHER, 1)
    names = wanted(entry.features, STUDENT)
    ours, theirs = (Outputs(o.logits, {name: o.features[name] for name in names}) for o in (student, teacher))
    assert torch.equal(run(entry, ours, theirs), run(entry, student, teacher))


def test_is_deterministic_and_changes_nothing(entry: DistillationLoss) -> None:
    student, teacher = outputs(STUDENT, 0), outputs(TEACHER, 1)
    before = torch.get_rng_state()
    first = run(entry, student, teacher)
    assert torch.equal(first, run(entry, student, teacher))
    assert torch.equal(student.logits, outputs(STUDENT, 0).logits)
    fresh = outputs(TEACHER, 1)
    assert torch.equal(teacher.logits, fresh.logits)
    assert all(torch.equal(maps, fresh.features[name]) for name, maps in teacher.features.items())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("scale", [1e4, 1e-30, 0.0])
def test_stays_finite_for_enormous_and_vanishing_outputs(entry: DistillationLoss, scale: float) -> None:
    student, teacher = outputs(STUDENT, 0, scale=scale, grad=True), outputs(TEACHER, 1, scale=scale)
    value = run(entry, student, teacher)
    value.backward()
    assert bool(torch.isfinite(value))
    for tensor in (student.logits, *student.features.values()):
        assert tensor.grad is None or bool(torch.isfinite(tensor.grad).all())


def test_takes_half_precision(entry: DistillationLoss) -> None:
    single = run(entry, outputs(STUDENT, 0), outputs(TEACHER, 1))
    student, teacher = (outputs(s, n, dtype=torch.bfloat16) for n, s in enumerate((STUDENT, TEACHER)))
    half = run(entry, student, teacher)
    assert half.dtype == torch.float32
    assert float(half.detach()) == pytest.approx(float(single.detach()), rel=0.1, abs=0.05)


def test_autocast_does_not_reach_into_the_loss(entry: DistillationLoss) -> None:
    student, teacher = outputs(STUDENT, 0), outputs(TEACHER, 1)
    plain = run(entry, student, teacher)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(run(entry, student, teacher), plain)


def test_the_order_of_a_batch_does_not_count(entry: DistillationLoss) -> None:
    student, teacher = outputs(STUDENT, 0), outputs(TEACHER, 1)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    shuffled = run(entry, picked(student, order), picked(teacher, order), targets()[order], order)
    torch.testing.assert_close(shuffled, run(entry, student, teacher), rtol=1e-5, atol=1e-6)


def test_targets_may_be_probabilities(entry: DistillationLoss) -> None:
    student, teacher = outputs(STUDENT, 0), outputs(TEACHER, 1)
    one_hot = torch.nn.functional.one_hot(targets(), CLASSES).float()
    torch.testing.assert_close(
        run(entry, student, teacher, one_hot), run(entry, student, teacher), rtol=1e-5, atol=1e-6
    )


def test_an_adapter_is_drawn_from_its_generator_and_learns(entry: DistillationLoss) -> None:
    if entry.adapter is None:
        return
    before = torch.get_rng_state()
    first, again = (
        entry.adapter(STUDENT, TEACHER, IMAGES, torch.Generator().manual_seed(0), entry.params())
        for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    state = first.state_dict()
    assert state.keys() == again.state_dict().keys()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in state.items())
    teach(
        entry,
        outputs(STUDENT, 0),
        outputs(TEACHER, 1),
        targets(),
        params=entry.params(),
        adapter=first,
        index=torch.arange(BATCH),
    ).backward()
    assert all(parameter.grad is not None for parameter in first.parameters())


def test_parameters_have_help_and_ranges(entry: DistillationLoss) -> None:
    entry.params()
    for field in dataclasses.fields(entry.params):
        assert field.metadata.get("help"), field.name
        bounded = field.metadata["low"] is not None and field.metadata["high"] is not None
        assert bounded or field.metadata["choices"] is not None, field.name


def test_the_docstring_says_when_to_use_it_what_it_costs_and_its_source(entry: DistillationLoss) -> None:
    for section in ("When:", "Cost:", "Source:"):
        assert f"\n    {section}\n        " in (entry.loss.__doc__ or ""), section


STANDARDISING = [name for name in sorted(losses) if hasattr(losses.get(name).params, "standardise")]


def test_every_loss_of_ours_over_a_teacher_s_logits_can_standardise_them() -> None:
    assert {"dist", "dkd", "kd", "logit_mse"} <= set(STANDARDISING)


@pytest.mark.parametrize("name", STANDARDISING)
def test_standardised_logits_forget_scale_and_shift(name: str) -> None:
    """Of the teacher's logits (Sun et al., CVPR 2024, arXiv 2403.01427)."""
    entry = losses.get(name)
    params = entry.params(standardise=True)
    student, teacher = outputs(STUDENT, 1, dtype=torch.float64), outputs(TEACHER, 2, dtype=torch.float64)
    other = Outputs(3.7 * teacher.logits - 1.9, teacher.features)
    found, again = (teach(entry, student, said, targets(), params=params) for said in (teacher, other))
    assert torch.allclose(found, again, rtol=1e-5)
    one, two = (teach(entry, student, said, targets(), params=entry.params()) for said in (teacher, other))
    if name != "dist":  # A correlation forgets them anyway, along one of its two directions.
        assert not torch.allclose(one, two, rtol=1e-2)
