"""Inside the block everything is drawn from the seed; outside nothing has changed, whatever happened."""

from collections.abc import Iterator

import pytest
import torch

from pdsearch.training.device import reproducible


@pytest.fixture(autouse=True)
def unusual() -> Iterator[None]:
    """Settings that are not those of the block, so that it has something to put back."""
    cudnn = torch.backends.cudnn
    before = (cudnn.deterministic, cudnn.benchmark)
    cudnn.deterministic, cudnn.benchmark = False, True
    yield
    cudnn.deterministic, cudnn.benchmark = before


def settings() -> tuple[bool, bool, list[int]]:
    cudnn, state = torch.backends.cudnn, torch.random.get_rng_state()
    return cudnn.deterministic, cudnn.benchmark, state.tolist()


def draw(seed: int) -> list[float]:
    with reproducible(seed):
        return torch.rand(3).tolist()


def test_draws_depend_on_the_seed_alone() -> None:
    first = draw(5)
    torch.rand(7)
    assert draw(5) == first
    assert draw(6) != first
    assert first == torch.rand(3, generator=torch.Generator().manual_seed(5)).tolist()


def test_the_outside_is_as_it_was_after_an_error() -> None:
    before = settings()
    with pytest.raises(RuntimeError, match="size"), reproducible(5):
        torch.rand(7) + torch.rand(8)
    assert settings() == before


def test_inside_kernels_are_fixed() -> None:
    with reproducible(5):
        assert settings()[:2] == (True, False)
