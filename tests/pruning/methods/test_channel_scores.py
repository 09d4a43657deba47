"""Scores of channels are the definitions, and torch-pruning's of every group of a network."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch_pruning
from torch import Generator, Tensor, nn
from torch.nn import functional

from pdsearch.errors import TrialError
from pdsearch.pruning.methods.bn_scale import score_bn_scale
from pdsearch.pruning.methods.group_scores import GroupNormParams, score_group_norm, score_group_taylor
from pdsearch.pruning.registry import methods
from pdsearch.registry import NoParams


@pytest.mark.parametrize(("method", "power"), [("filter_l1", 1), ("filter_l2", 2)])
def test_a_filter_scores_its_norm_over_the_layer_s_mean(net: nn.Module, method: str, power: int) -> None:
    for name, score in methods.get(method).score(net, (), Generator(), NoParams()).items():
        norms = net.get_parameter(name).detach().flatten(1).norm(p=power, dim=1)
        torch.testing.assert_close(score, norms / norms.mean())


class Crossed(nn.Module):
    """Layers whose order of definition is not their order of use."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_b, self.norm_a = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.conv_a, self.conv_b, self.conv_c = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.classifier = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.norm_a(self.conv_a(images)))
        maps = torch.relu(self.norm_b(self.conv_b(maps)))
        logits: Tensor = self.classifier((maps + self.conv_c(maps)).mean((2, 3)))
        return logits


def test_bn_scale_is_the_scale_of_the_normalisation_that_reads_the_channel() -> None:
    net, batches = Crossed(), [(torch.randn(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64))]
    with torch.no_grad():
        net.norm_a.weight.copy_(torch.tensor([1.0, -2.0, 3.0, 0.0]))
        net.norm_b.weight.copy_(torch.tensor([-5.0, 6.0, 7.0, 8.0]))
    scores = score_bn_scale(net, batches, Generator(), NoParams())
    assert {name: score.tolist() for name, score in scores.items()} == {
        "conv_a.weight": [1.0, 2.0, 3.0, 0.0],
        "conv_b.weight": [5.0, 6.0, 7.0, 8.0],
    }
    bare = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(TrialError, match=r"no layer of this model is followed"):
        score_bn_scale(bare, batches, Generator(), NoParams())


class Plain(nn.Module):
    """Two convolutions with normalisation, a shortcut, a hidden linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.inner = nn.Conv2d(6, 7, 3, padding=1)
        self.back = nn.Conv2d(7, 6, 3, padding=1)
        self.hidden, self.classifier = nn.Linear(6, 9), nn.Linear(9, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.norm(self.conv(images)))
        maps = torch.relu(maps + self.back(torch.relu(self.inner(maps))))
        logits: Tensor = self.classifier(torch.relu(self.hidden(maps.mean((2, 3)))))
        return logits


def check(net: Plain, scores: dict[str, Tensor], importance: Callable[[Any], Tensor], image: Tensor) -> None:
    """Compare scores with what torch-pruning itself says of every group of channels."""
    graph = torch_pruning.DependencyGraph().build_dependency(net, example_inputs=image)
    names = {module: f"{name}.weight" for name, module in net.named_modules()}
    groups = list(graph.get_all_groups(ignored_layers=[net.classifier]))
    assert len(groups) == 3
    for group in groups:
        found, reference = scores[names[group[0].dep.target.module]], importance(group).detach()
        torch.testing.assert_close(found, reference, rtol=1e-4, atol=1e-6)
        assert torch.equal(found.argsort(), reference.argsort())
    assert torch.equal(scores["conv.weight"], scores["back.weight"])


@pytest.mark.parametrize("power", [1, 2])
def test_group_norm_is_torch_pruning_s_group_magnitude(power: int) -> None:
    torch.manual_seed(0)
    net, image = Plain(), torch.zeros(1, 3, 5, 5)
    nn.init.uniform_(net.norm.weight, 0.5, 1.5)
    batches = [(image, torch.zeros(1, dtype=torch.int64))]
    scores = score_group_norm(net, batches, Generator(), GroupNormParams(power))
    check(net, scores, torch_pruning.importance.GroupMagnitudeImportance(p=power), image)


def test_group_taylor_is_torch_pruning_s() -> None:
    torch.manual_seed(0)
    net, images, labels = Plain().eval(), torch.randn(10, 3, 5, 5), torch.randint(4, (10,))
    batches = [(images[:4], labels[:4]), (images[4:], labels[4:])]
    scores = score_group_taylor(net, batches, Generator(), NoParams())
    torch.autograd.backward(functional.cross_entropy(net(images), labels))
    check(net, scores, torch_pruning.importance.GroupTaylorImportance(), images[:1])


def test_for_group_taylor_a_weight_of_two_layers_counts_once() -> None:
    layers = (nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(4, 2))
    layers[2].weight = layers[1].weight
    batches = [(torch.randn(2, 3, 1, 1), torch.tensor([0, 1]))]
    scores = score_group_taylor(nn.Sequential(*layers), batches, Generator(), NoParams())
    assert all(bool(score.isfinite().all()) for score in scores.values())
