"""Do the loops give batch normalisation, the sum around a block and ReLU, and their gradients, as a formula does?"""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from pdsearch.models.looped import Looped, evaluated

EPS, MOMENTUM = 1e-5, 0.1
SHAPES = [(37, 16, 8, 8), (8, 24, 5, 7), (3, 5, 3, 3), (128, 1, 4, 4), (2, 300, 4, 4)]


def drawn(shape: tuple[int, ...], *, mean: float = 0.5) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def maps(middle: float = 0) -> Tensor:
        found = torch.randn(shape, generator=generator) + middle
        return found.bfloat16().to(memory_format=torch.channels_last).requires_grad_()

    weight, bias = (torch.rand(shape[1], generator=generator).add(0.5).requires_grad_() for _ in range(2))
    return {"maps": maps(mean), "weight": weight, "bias": bias, "around": maps()}


def exact(given: dict[str, Tensor], *, active: bool, added: bool) -> Tensor:
    """The formula (Ioffe and Szegedy, arXiv 1502.03167, algorithm 1), in float64."""
    maps, weight, bias = (given[name].double() for name in ("maps", "weight", "bias"))
    mean, var = maps.mean((0, 2, 3), keepdim=True), maps.var((0, 2, 3), keepdim=True, correction=0)
    found = (maps - mean) / (var + EPS).sqrt() * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)
    found = found + given["around"].double() if added else found
    return found.relu() if active else found


def looped(given: dict[str, Tensor], *, active: bool, added: bool, running: Any = None) -> Tensor:
    moments = running or (torch.zeros(len(given["weight"])), torch.ones(len(given["weight"])))
    around = given["around"] if added else None
    found: Tensor = Looped.apply(
        given["maps"], given["weight"], given["bias"], around, active, moments, MOMENTUM, EPS
    )
    return found


def close(ours: Tensor, theirs: Tensor, *, units: float = 2.0) -> bool:
    """Whether they differ by a few roundings of the largest number at most."""
    return bool((ours.double() - theirs).abs().max() <= units * 2.0**-8 * theirs.abs().max())


WAYS = pytest.mark.parametrize(("active", "added"), [(False, False), (True, False), (True, True)])


@WAYS
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_and_gradients_are_those_of_the_formula(
    shape: tuple[int, ...], active: bool, added: bool
) -> None:
    given = drawn(shape)
    pull = torch.randn(shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    ours, theirs = (way(given, active=active, added=added) for way in (looped, exact))
    assert close(ours, theirs)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    wanted = [given[name] for name in ("maps", "weight", "bias", *(["around"] if added else []))]
    mine = torch.autograd.grad(ours, wanted, pull)
    # Where rounding decides whether a number is above 0, both go by the rounded one.
    passing = pull.double() * (ours != 0) if active else pull.double()
    plain = exact(given, active=False, added=added)
    for name, one, other in zip(
        ("maps", "weight", "bias", "around"), mine, torch.autograd.grad(plain, wanted, passing), strict=False
    ):
        assert one.dtype == other.dtype
        assert close(one, other.double()), name


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 9), st.integers(1, 40), st.integers(1, 7), st.integers(1, 7))
def test_any_shape_is_normalised(batch: int, channels: int, height: int, across: int) -> None:
    given = drawn((batch, channels, height, across))
    assert close(looped(given, active=False, added=False), exact(given, active=False, added=False))


def test_the_running_moments_follow_as_torch_lets_them() -> None:
    given = drawn((37, 16, 8, 8))
    ours, theirs = ((torch.full((16,), 0.3), torch.full((16,), 2.0)) for _ in range(2))
    looped(given, active=False, added=False, running=ours)
    functional.batch_norm(given["maps"].detach().float(), *theirs, training=True, momentum=MOMENTUM)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_mean_far_from_zero_costs_no_accuracy_once_it_is_known() -> None:
    given = drawn((64, 16, 8, 8), mean=1000.0)
    mean = given["maps"].detach().float().mean((0, 2, 3))
    found = looped(given, active=False, added=False, running=(mean, torch.ones(16)))
    assert close(found, exact(given, active=False, added=False))


def test_evaluated_by_the_running_moments() -> None:
    given = {name: tensor.detach() for name, tensor in drawn((37, 16, 8, 8)).items()}
    mean, var = torch.linspace(-1, 1, 16), torch.linspace(0.5, 2, 16)
    weight, bias, maps = given["weight"], given["bias"], given["maps"]
    ours = evaluated(maps, weight, bias, given["around"], True, (mean, var), EPS)
    plain = functional.batch_norm(
        maps.double(), mean.double(), var.double(), weight.double(), bias.double(), eps=EPS
    )
    assert close(ours, (plain + given["around"].double()).relu())


@WAYS
def test_gradients_can_be_differentiated_again(active: bool, added: bool) -> None:
    given = drawn((8, 4, 6, 6))
    wanted = [given[name] for name in ("maps", "weight", "bias")]
    found = []
    for way in (looped, exact):
        first = torch.autograd.grad(
            way(given, active=active, added=added).double().pow(3).sum(), wanted, create_graph=True
        )
        found.append(
            torch.autograd.grad(torch.stack([one.double().pow(2).sum() for one in first]).sum(), wanted)
        )
    for mine, theirs in zip(*found, strict=True):
        assert (
            torch.nn.functional.cosine_similarity(mine.double().flatten(), theirs.double().flatten(), dim=0)
            > 0.995
        )


def test_a_number_that_is_none_spoils_its_channel_and_no_other() -> None:
    given = drawn((37, 16, 8, 8))
    with torch.no_grad():
        given["maps"][0, 3, 0, 0] = float("nan")
    bad = looped(given, active=True, added=False).isnan()
    assert bad[:, 3].all()
    assert bad.sum() == bad[:, 3].numel()
