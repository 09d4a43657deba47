"""Inside the block everything is drawn from the seed; outside nothing has changed, whatever happened."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from pdsearch.training.checkpoint import random_states, restore_random
from pdsearch.training.device import reproducible


@pytest.fixture(autouse=True)
def unusual() -> Iterator[None]:
    """Settings that are not those of the block, so that it has something to put back."""
    cudnn = torch.backends.cudnn
    before = (cudnn.deterministic, cudnn.benchmark)
    cudnn.deterministic, cudnn.benchmark = False, True
    yield
    cudnn.deterministic, cudnn.benchmark = before


def settings() -> tuple[object, ...]:
    cudnn, state = torch.backends.cudnn, torch.random.get_rng_state()
    others = str(np.random.get_state()), random.getstate()
    return cudnn.deterministic, cudnn.benchmark, state.tolist(), *others


def draw(seed: int) -> list[float]:
    with reproducible(seed):
        return [*torch.rand(3).tolist(), random.gauss(), np.random.normal()]


def test_draws_depend_on_the_seed_alone() -> None:
    first = draw(5)
    torch.rand(7), random.random(), np.random.rand()
    assert draw(5) == first
    assert draw(6) != first
    assert first[:3] == torch.rand(3, generator=torch.Generator().manual_seed(5)).tolist()


def test_the_outside_is_as_it_was_after_an_error() -> None:
    before = settings()
    with pytest.raises(RuntimeError, match="size"), reproducible(5):
        torch.rand(7 + random.randrange(1)) + torch.rand(8 + np.random.randint(1))
    assert settings() == before


def test_inside_kernels_are_fixed() -> None:
    with reproducible(5):
        assert settings()[:2] == (True, False)


def test_states_are_those_of_all_generators() -> None:
    with reproducible(5):
        random.gauss(), np.random.normal()  # Each keeps the second of a pair.
        states = random_states("cpu")
        after = [random.gauss(), np.random.normal(), random.random(), np.random.rand(), torch.rand(1).item()]
        restore_random(states, "cpu")
        assert after == [
            random.gauss(),
            np.random.normal(),
            random.random(),
            np.random.rand(),
            torch.rand(1).item(),
        ]
