"""Scores of single weights that are short to define."""

import copy

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from pdsearch.pruning.methods.magnitude import score_magnitude
from pdsearch.pruning.methods.random import score_random
from pdsearch.pruning.methods.snip import score_snip
from pdsearch.pruning.methods.taylor import score_taylor
from pdsearch.registry import NoParams


def test_a_weight_scores_its_absolute_value(net: nn.Module) -> None:
    scores = score_magnitude(net, (), Generator(), NoParams())
    assert list(scores) == ["0.weight", "3.weight", "7.weight"]
    assert all(torch.equal(score, net.get_parameter(name).detach().abs()) for name, score in scores.items())


def test_scores_are_uniform_and_ignore_the_weights() -> None:
    net = nn.Linear(200, 100)
    first = score_random(net, (), Generator().manual_seed(0), NoParams())["weight"]
    nn.init.zeros_(net.weight)
    assert torch.equal(score_random(net, (), Generator().manual_seed(0), NoParams())["weight"], first)
    assert torch.histc(first, bins=10, min=0, max=1).sub(2000).abs().max() < 200
    assert float(first.max()) < 1


def test_another_seed_scores_otherwise(net: nn.Module) -> None:
    first = score_random(net, (), Generator().manual_seed(0), NoParams())
    second = score_random(net, (), Generator().manual_seed(1), NoParams())
    assert all(not torch.equal(first[name], second[name]) for name in first)


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


def test_is_the_mean_square_of_weight_times_gradient() -> None:
    torch.manual_seed(0)
    net = nn.Linear(3, 2).double()
    batches = [(torch.randn(4, 3, dtype=torch.float64), torch.randint(2, (4,))) for _ in range(3)]
    expected = torch.zeros(2, 3, dtype=torch.float64)
    for images, labels in batches:
        wrong = torch.softmax(net(images), 1) - functional.one_hot(labels, 2)  # dL/dlogits, times the batch
        gradient = wrong.T @ images / 4
        expected += (net.weight * gradient).detach().square() / 3
    torch.testing.assert_close(score_taylor(net, batches, Generator(), NoParams())["weight"], expected)


def test_opposite_batches_do_not_cancel() -> None:
    linear = nn.Linear(2, 2, bias=False)
    nn.init.ones_(linear.weight)
    images = torch.tensor([[1.0, 0.0]])
    opposed = [(images, torch.tensor([0])), (images, torch.tensor([1]))]
    assert score_taylor(linear, opposed, Generator(), NoParams())["weight"].tolist() == [
        [0.25, 0.0],
        [0.25, 0.0],
    ]
