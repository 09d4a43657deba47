import copy

import pytest
import torch
from torch import Generator, Tensor, nn

from pdsearch.pruning.methods.synflow import score_synflow
from pdsearch.pruning.select import select
from pdsearch.registry import NoParams
from tests.pruning.kept import kept_in


def score(net: nn.Module, images: Tensor) -> dict[str, Tensor]:
    return score_synflow(
        net, [(images, torch.zeros(len(images), dtype=torch.int64))], Generator(), NoParams()
    )


def test_is_the_sum_over_paths_through_the_weight() -> None:
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        net.get_parameter("0.weight").copy_(torch.tensor([[1.0, -2.0], [3.0, -4.0]]))
        net.get_parameter("2.weight").copy_(torch.tensor([[-5.0, 6.0]]))
    scores = score(net, torch.randn(1, 2))
    assert scores["0.weight"].tolist() == [[5.0, 10.0], [18.0, 24.0]]
    assert scores["2.weight"].tolist() == [[15.0, 42.0]]


def test_on_a_trained_network_paths_pass_through_what_its_normalisation_learned() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2, bias=False)
    )
    first, norm, last = net.get_parameter("0.weight"), net.get_submodule("1"), net.get_parameter("3.weight")
    assert isinstance(norm, nn.BatchNorm1d)
    nn.init.normal_(norm.weight)
    nn.init.uniform_(norm.get_buffer("running_var"), 0.1, 3.0)
    scores = score(net, torch.randn(5, 3))
    net.requires_grad_(False)
    for i in range(4):
        scale = abs(float(norm.weight[i])) / (float(norm.get_buffer("running_var")[i]) + norm.eps) ** 0.5
        for j in range(3):
            paths = [abs(float(first[i, j])) * scale * abs(float(last[k, i])) for k in range(2)]
            assert float(scores["0.weight"][i, j]) == pytest.approx(sum(paths), rel=1e-6)


def test_flow_is_conserved_from_layer_to_layer() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*(nn.Linear(5, 5, bias=False) for _ in range(4)))
    sums = [float(s.sum()) for s in score(net, torch.randn(1, 5)).values()]
    assert sums == pytest.approx([sums[0]] * 4)


def test_the_content_of_the_images_does_not_count(net: nn.Module) -> None:
    first, second = score(net, torch.randn(3, 3, 6, 6)), score(net, torch.full((1, 3, 6, 6), torch.nan))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_hundred_layers_do_not_overflow() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(100)))
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(4)
    scores = score(net, torch.ones(1, 64))
    assert float(scores["0.weight"].max()) > torch.finfo(torch.float32).max
    select(scores, sparsity=0.9)


def test_the_paper_s_rounds_never_cut_a_layer_off() -> None:
    """Its theorem: rounds of flow empty no layer. Magnitude in one shot does."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(20, 40, bias=False), nn.Linear(40, 40, bias=False), nn.Linear(40, 2, bias=False)
    )
    with torch.no_grad():
        net.get_parameter("1.weight").mul_(1e-3)
    copied, mask = copy.deepcopy(net), None
    for k in range(1, 101):
        mask = select(score(copied, torch.ones(1, 20)), sparsity=1 - 0.01 ** (k / 100), within=mask)
        mask.apply(copied)
    assert mask is not None
    assert min(kept_in(mask).values()) > 0
    once = select({name: p.detach().abs() for name, p in net.named_parameters()}, sparsity=0.99)
    assert min(kept_in(once).values()) == 0
