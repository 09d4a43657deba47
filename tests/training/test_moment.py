"""All that a step without its optimizer changes comes back, and is told from what it was."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pdsearch.specs import Recipe
from pdsearch.training import Engine
from pdsearch.training.cuda_graphs import Moment, equal
from pdsearch.training.state import TrainingState


@pytest.fixture
def state(build: Callable[..., nn.Module], recipe: Recipe, engine: Engine) -> TrainingState:
    return TrainingState(build(dropout=0.5), recipe, engine)


def test_it_is_now_until_something_changes(state: TrainingState) -> None:
    total = torch.zeros((), dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        moment = Moment(state, total, "cpu")
        assert moment.is_now()
        for change in (
            lambda: total.add_(1),
            lambda: state.model(torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))),
            lambda: torch.rand(1),
        ):
            change()
            assert not moment.is_now()
            moment.restore()
            assert moment.is_now()


def test_it_says_which_generator_was_drawn_from(state: TrainingState) -> None:
    with torch.random.fork_rng(devices=[]):
        moment = Moment(state, torch.zeros(()), "cpu")
        assert not moment.drew("cpu")
        torch.rand(1)
        assert moment.drew("cpu")


@pytest.mark.parametrize(
    ("some", "others", "expected"),
    [
        ([], [], True),
        ([torch.ones(2), None], [torch.ones(2), None], True),
        ([torch.ones(2), None], [torch.ones(2), torch.ones(2)], False),
        ([torch.ones(2)], [torch.tensor([1.0, 1.0 + 2**-23])], False),
        ([torch.tensor([torch.nan])], [torch.tensor([torch.nan])], False),
    ],
)
def test_equal_means_every_bit(some: list[Tensor], others: list[Tensor], expected: bool) -> None:
    assert equal(some, others) is expected
