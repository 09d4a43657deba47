"""Scores of channels; those of groups are torch-pruning's, an independent reference."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch_pruning
from torch import Generator, Tensor, nn
from torch.nn import functional

from pdsearch.errors import TrialError
from pdsearch.pruning.methods.bn_scale import score_bn_scale
from pdsearch.pruning.methods.filter_l1 import score_filter_l1
from pdsearch.pruning.methods.filter_l2 import score_filter_l2
from pdsearch.pruning.methods.group_norm import GroupNormParams, score_group_norm
from pdsearch.pruning.methods.group_taylor import score_group_taylor
from pdsearch.registry import NoParams


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


def reference_scores(net: Plain, importance: Callable[[Any], Tensor], image: Tensor) -> dict[str, Tensor]:
    """The importance of every group of channels, by the weight it is found from."""
    graph = torch_pruning.DependencyGraph().build_dependency(net, example_inputs=image)
    names = {module: f"{name}.weight" for name, module in net.named_modules()}
    groups = graph.get_all_groups(ignored_layers=[net.classifier])
    return {names[group[0].dep.target.module]: importance(group) for group in groups}


def test_a_channel_scores_the_size_of_its_weights_over_the_layer_s_mean() -> None:
    conv = nn.Conv2d(1, 2, (1, 2))
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[[[1.0, -3.0]]], [[[0.5, 0.0]]]]))
    assert score_filter_l1(conv, (), Generator(), NoParams())["weight"].tolist() == pytest.approx(
        [4 / 2.25, 0.5 / 2.25]
    )


def test_layers_of_another_fan_in_or_scale_compete_alike() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 50), nn.Linear(50, 50))
    scores = score_filter_l1(net, (), Generator(), NoParams())
    with torch.no_grad():
        net.get_parameter("1.weight").mul_(100)
    again = score_filter_l1(net, (), Generator(), NoParams())
    torch.testing.assert_close(again, scores)
    assert all(float(score.mean()) == pytest.approx(1) for score in scores.values())


def test_a_channel_scores_its_norm_over_the_layer_s_mean() -> None:
    linear = nn.Linear(2, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[3.0, -4.0], [1.0, 1.0]]))
    scores = score_filter_l2(linear, (), Generator(), NoParams())["weight"]
    root = math.sqrt(2)
    torch.testing.assert_close(scores, torch.tensor([5.0, root]) / ((5 + root) / 2))


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


def batches() -> list[tuple[Tensor, Tensor]]:
    return [
        (torch.randn(2, 3, 4, 4, generator=Generator().manual_seed(0)), torch.zeros(2, dtype=torch.int64))
    ]


def test_a_channel_scores_the_scale_of_the_normalisation_that_reads_it() -> None:
    net = Crossed()
    with torch.no_grad():
        net.norm_a.weight.copy_(torch.tensor([1.0, -2.0, 3.0, 0.0]))
        net.norm_b.weight.copy_(torch.tensor([-5.0, 6.0, 7.0, 8.0]))
    scores = score_bn_scale(net, batches(), Generator(), NoParams())
    assert {name: score.tolist() for name, score in scores.items()} == {
        "conv_a.weight": [1.0, 2.0, 3.0, 0.0],
        "conv_b.weight": [5.0, 6.0, 7.0, 8.0],
    }


def test_a_model_without_normalisation_fails_the_trial() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(TrialError, match=r"no layer of this model is followed"):
        score_bn_scale(net, batches(), Generator(), NoParams())
    with pytest.raises(TrialError, match=r"needs an image"):
        score_bn_scale(Crossed(), (), Generator(), NoParams())


IMAGE = torch.zeros(1, 3, 5, 5)


@pytest.mark.parametrize("power", [1, 2])
def test_is_torch_pruning_s_group_magnitude(power: int) -> None:
    torch.manual_seed(0)
    net = Plain()
    torch.nn.init.uniform_(net.norm.weight, 0.5, 1.5)
    batches = [(IMAGE, torch.zeros(1, dtype=torch.int64))]
    scores = score_group_norm(net, batches, Generator(), GroupNormParams(power))
    expected = reference_scores(net, torch_pruning.importance.GroupMagnitudeImportance(p=power), IMAGE)
    assert len(expected) == 3
    for name, reference in expected.items():
        torch.testing.assert_close(scores[name], reference.detach())
        assert torch.equal(scores[name].argsort(), reference.argsort())
    assert torch.equal(scores["conv.weight"], scores["back.weight"])


def test_without_an_image_the_trial_fails() -> None:
    with pytest.raises(TrialError, match="needs the shape of an image"):
        score_group_norm(Plain(), (), Generator(), GroupNormParams())


def test_is_torch_pruning_s_group_taylor() -> None:
    torch.manual_seed(0)
    net, images, labels = Plain().eval(), torch.randn(10, 3, 5, 5), torch.randint(4, (10,))
    scores = score_group_taylor(
        net, [(images[:4], labels[:4]), (images[4:], labels[4:])], Generator(), NoParams()
    )
    assert all(parameter.grad is None for parameter in net.parameters())
    torch.autograd.backward(functional.cross_entropy(net(images), labels))
    expected = reference_scores(net, torch_pruning.importance.GroupTaylorImportance(), images[:1])
    assert len(expected) == 3
    for name, reference in expected.items():
        torch.testing.assert_close(scores[name], reference.detach(), rtol=1e-4, atol=1e-6)
        assert torch.equal(scores[name].argsort(), reference.argsort())
    assert torch.equal(scores["conv.weight"], scores["back.weight"])


def test_a_weight_of_two_layers_counts_once() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(4, 2)
    )
    model[2].weight = model[1].weight
    batches = [(torch.randn(2, 3, 1, 1), torch.tensor([0, 1]))]
    scores = score_group_taylor(model, batches, Generator(), NoParams())
    assert all(bool(score.isfinite().all()) for score in scores.values())


def test_without_images_the_trial_fails() -> None:
    with pytest.raises(TrialError, match="needs images"):
        score_group_taylor(Plain(), (), Generator(), NoParams())
