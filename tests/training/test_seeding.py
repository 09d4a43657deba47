"""Inside the block everything is drawn from the seed; outside nothing has changed, whatever happened."""

from collections.abc import Iterator

import pytest
import torch

from pdsearch.training.device import reproducible


@pytest.fixture(autouse=True)
def unusual() -> Iterator[None]:
    """Settings that are not those of the block, so that it has something to put back."""
    cudnn, threads = torch.backends.cudnn, torch.get_num_threads()
    before = (cudnn.deterministic, cudnn.benchmark)
    cudnn.deterministic, cudnn.benchmark = False, True
    torch.set_num_threads(2)
    yield
    cudnn.deterministic, cudnn.benchmark = before
    torch.set_num_threads(threads)


def settings() -> tuple[bool, bool, int, list[int]]:
    cudnn, state = torch.backends.cudnn, torch.random.get_rng_state()
    return cudnn.deterministic, cudnn.benchmark, torch.get_num_threads(), state.tolist()


def draw(seed: int) -> list[float]:
    with reproducible(seed):
        return torch.rand(3).tolist()


def test_draws_depend_on_the_seed_alone() -> None:
    first = draw(5)
    torch.rand(7)
    assert draw(5) == first
    assert draw(6) != first
    assert first == torch.rand(3, generator=torch.Generator().manual_seed(5)).tolist()


def test_the_outside_is_as_it_was() -> None:
    before = settings()
    with reproducible(5, threads=1):
        torch.rand(7)
    assert settings() == before


def test_the_outside_is_as_it_was_after_an_error() -> None:
    before = settings()
    with pytest.raises(RuntimeError, match="size"), reproducible(5, threads=1):
        torch.rand(7) + torch.rand(8)
    assert settings() == before


@pytest.mark.parametrize(("threads", "expected"), [(1, 1), (3, 3), (None, 2)])
def test_inside_kernels_are_fixed_and_threads_are_those_asked_for(threads: int | None, expected: int) -> None:
    with reproducible(5, threads=threads):
        assert settings()[:3] == (True, False, expected)


def test_blocks_nest() -> None:
    with reproducible(5):
        one = torch.rand(1).item()
        with reproducible(6, threads=1):
            torch.rand(9)
        assert torch.get_num_threads() == 2
        two = torch.rand(1).item()
    assert draw(5)[:2] == pytest.approx([one, two])
