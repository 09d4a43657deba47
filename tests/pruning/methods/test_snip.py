import copy

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from pdsearch.pruning.methods.snip import score_snip
from pdsearch.registry import NoParams


def sensitivity(
    net: nn.Module, name: str, index: tuple[int, ...], batches: list[tuple[Tensor, Tensor]]
) -> float:
    """|dL/dc| at c = 1 by a central difference, c a factor on one connection."""
    losses = []
    for factor in (1 + 1e-6, 1 - 1e-6):
        twin = copy.deepcopy(net).double()
        with torch.no_grad():
            twin.get_parameter(name)[index] *= factor
        with torch.no_grad():
            losses.append(
                sum(float(functional.cross_entropy(twin(x.double()), y)) for x, y in batches) / len(batches)
            )
    return abs(losses[0] - losses[1]) / 2e-6


def test_is_the_sensitivity_to_a_factor_on_the_connection(
    net: nn.Module, batches: list[tuple[Tensor, Tensor]]
) -> None:
    scores = score_snip(
        copy.deepcopy(net).double(), [(x.double(), y) for x, y in batches], Generator(), NoParams()
    )
    for name, index in (("0.weight", (1, 2, 0, 1)), ("3.weight", (5, 0, 2, 2)), ("7.weight", (3, 4))):
        expected = sensitivity(net, name, index, batches)
        torch.testing.assert_close(float(scores[name][index]), expected, rtol=1e-4, atol=1e-9)


def test_batches_are_one_sum_not_a_sum_of_sizes() -> None:
    """Two batches of opposite gradients cancel."""
    linear = nn.Linear(2, 2, bias=False)
    nn.init.ones_(linear.weight)
    images = torch.tensor([[1.0, 0.0]])
    opposed = [(images, torch.tensor([0])), (images, torch.tensor([1]))]
    assert float(score_snip(linear, opposed, Generator(), NoParams())["weight"].max()) == 0.0
