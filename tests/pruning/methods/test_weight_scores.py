"""Scores of single weights are their papers' formulas, written out slowly."""

import copy

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from pdsearch.pruning.methods.fisher import FisherParams, score_fisher
from pdsearch.pruning.methods.grasp import GraspParams, score_grasp
from pdsearch.pruning.methods.prue import score_prue
from pdsearch.pruning.methods.random import score_random
from pdsearch.pruning.methods.snip import score_snip
from pdsearch.pruning.methods.taylor import score_taylor
from pdsearch.registry import NoParams

Batches = list[tuple[Tensor, Tensor]]


def data(images: int = 8) -> tuple[nn.Linear, Tensor, Tensor]:
    torch.manual_seed(0)
    return nn.Linear(3, 4).double(), torch.randn(images, 3, dtype=torch.float64), torch.randint(4, (images,))


def test_random_scores_are_uniform_and_of_the_generator_alone() -> None:
    net = nn.Linear(200, 100)
    first = score_random(net, (), Generator().manual_seed(0), NoParams())["weight"]
    nn.init.zeros_(net.weight)
    assert torch.equal(score_random(net, (), Generator().manual_seed(0), NoParams())["weight"], first)
    assert not torch.equal(score_random(net, (), Generator().manual_seed(1), NoParams())["weight"], first)
    assert torch.histc(first, bins=10, min=0, max=1).sub(2000).abs().max() < 200
    assert float(first.max()) < 1


def test_taylor_is_the_mean_square_of_weight_times_gradient() -> None:
    net, images, labels = data(12)
    batches = [*zip(images.split(4), labels.split(4), strict=True)]
    expected = torch.zeros(4, 3, dtype=torch.float64)
    for some, known in batches:
        wrong = torch.softmax(net(some), 1) - functional.one_hot(known, 4)  # dL/dlogits, times the batch
        expected += (net.weight * (wrong.T @ some / 4)).detach().square() / 3
    torch.testing.assert_close(score_taylor(net, batches, Generator(), NoParams())["weight"], expected)


def test_opposite_batches_cancel_in_snip_and_not_in_taylor() -> None:
    linear, images = nn.Linear(2, 2, bias=False), torch.tensor([[1.0, 0.0]])
    nn.init.ones_(linear.weight)
    opposed = [(images, torch.tensor([0])), (images, torch.tensor([1]))]
    assert float(score_snip(linear, opposed, Generator(), NoParams())["weight"].max()) == 0.0
    scores = score_taylor(linear, opposed, Generator(), NoParams())["weight"]
    assert scores.tolist() == [[0.25, 0.0], [0.25, 0.0]]


def test_snip_is_the_sensitivity_to_a_factor_on_the_connection(net: nn.Module, batches: Batches) -> None:
    """|dL/dc| at c = 1 by a central difference, c a factor on one connection."""
    double = [(images.double(), labels) for images, labels in batches]
    scores = score_snip(copy.deepcopy(net).double(), double, Generator(), NoParams())
    for name, index in (("0.weight", (1, 2, 0, 1)), ("3.weight", (5, 0, 2, 2)), ("7.weight", (3, 4))):
        losses = []
        for factor in (1 + 1e-6, 1 - 1e-6):
            twin = copy.deepcopy(net).double()
            with torch.no_grad():
                twin.get_parameter(name)[index] *= factor
                losses.append(
                    sum(float(functional.cross_entropy(twin(x), y)) for x, y in double) / len(double)
                )
        expected = abs(losses[0] - losses[1]) / 2e-6
        torch.testing.assert_close(float(scores[name][index]), expected, rtol=1e-4, atol=1e-9)


def test_fisher_is_half_the_weight_squared_times_the_mean_squared_gradient_of_single_images() -> None:
    net, images, labels = data()
    wrong = torch.softmax(net(images), 1) - functional.one_hot(labels, 4)
    squares = (wrong[:, :, None] * images[:, None, :]).square().mean(0)  # (images, out, in) -> (out, in)
    expected = (net.weight.square() * squares / 2).detach()
    batches = [(images[:3], labels[:3]), (images[3:], labels[3:])]
    torch.testing.assert_close(score_fisher(net, batches, Generator(), FisherParams())["weight"], expected)


def test_fisher_by_the_model_s_own_labels_is_the_curvature_of_cross_entropy() -> None:
    """For a linear classifier the true Fisher is the Hessian; its diagonal is p (1 - p) x^2."""
    net, images, labels = data()
    many = [(images.repeat(400, 1), labels.repeat(400))]
    drawn, again = (
        score_fisher(net, many, Generator().manual_seed(0), FisherParams(labels="model"))["weight"]
        for _ in range(2)
    )
    p = torch.softmax(net(images), 1)
    diagonal = ((p * (1 - p))[:, :, None] * images.square()[:, None, :]).mean(0)
    expected = (net.weight.square() * diagonal / 2).detach()
    torch.testing.assert_close(drawn, expected, rtol=0.15, atol=1e-3)
    assert torch.equal(drawn, again)


def test_grasp_is_the_weight_times_hessian_times_gradient() -> None:
    """Against the whole Hessian of a small network, entry by entry."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Linear(4, 2, bias=False)).double()
    images, labels = torch.randn(10, 3, dtype=torch.float64), torch.randint(2, (10,))
    batches = [(images[:5], labels[:5]), (images[5:], labels[5:])]
    scores = score_grasp(net, batches, Generator(), GraspParams(temperature=2.0))

    def loss(flat: Tensor) -> Tensor:
        first, second = flat[:12].view(4, 3), flat[12:].view(2, 4)
        return functional.cross_entropy(torch.tanh(images @ first.T) @ second.T / 2.0, labels)

    flat = torch.cat([p.detach().flatten() for p in net.parameters()])
    gradient = torch.autograd.functional.jacobian(loss, flat)
    expected = flat * (torch.autograd.functional.hessian(loss, flat) @ gradient)
    found = torch.cat([score.flatten() for score in scores.values()])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-15)


def test_for_grasp_running_statistics_know_nothing_yet_and_do_not_count() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    batches = [(torch.randn(8, 3), torch.randint(2, (8,)))]
    first = score_grasp(net, batches, Generator(), GraspParams())
    net.get_buffer("1.running_mean").fill_(3.0)
    second = score_grasp(net, batches, Generator(), GraspParams())
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_prue_is_weight_times_slope_of_the_spread_by_finite_differences() -> None:
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    batches = [(torch.randn(4, 3), torch.randint(2, (4,))) for _ in range(3)]
    images, labels = torch.cat([x for x, _ in batches]).double(), torch.cat([y for _, y in batches])

    def confidence(weight: Tensor) -> Tensor:
        logits = images @ weight.T + net.bias.detach().double()
        return torch.softmax(logits, 1)[torch.arange(len(labels)), labels]

    start = net.weight.detach().double()
    means = torch.stack([confidence(start)[labels == c].mean() for c in (0, 1)])
    expected = torch.zeros(2, 3, dtype=torch.float64)
    for row, column in torch.ones(2, 3).nonzero().tolist():
        step = torch.zeros(2, 3, dtype=torch.float64)
        step[row, column] = 1e-6
        up, down = ((means[labels] - confidence(start + s * step)).abs().sum() for s in (1, -1))
        expected[row, column] = (start[row, column] * (up - down) / 2e-6).abs()
    scores = score_prue(net, batches, Generator(), NoParams())["weight"]
    torch.testing.assert_close(scores.double(), expected, rtol=1e-4, atol=1e-6)


def test_prue_sees_no_spread_in_a_class_with_equal_answers() -> None:
    equal = [(torch.ones(3, 2), torch.zeros(3, dtype=torch.int64))]
    assert float(score_prue(nn.Linear(2, 2), equal, Generator(), NoParams())["weight"].max()) < 1e-6
