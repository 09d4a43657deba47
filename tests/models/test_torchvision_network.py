"""Another's network shows the last map at each resolution, and answers as it did before."""

from typing import Any, cast

import pytest
import torch
import torchvision.models
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models.torchvision import TorchvisionNetwork, torchvision_builder

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def trunk(**more: nn.Module) -> nn.Sequential:
    """Three resolutions and, deep inside the first part, a fourth; then one position and a linear layer."""
    first = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.Sequential(nn.MaxPool2d(2, 1), nn.MaxPool2d(2, padding=1))
    )
    second = nn.Sequential(nn.Conv2d(4, 5, 3, padding=1), nn.MaxPool2d(2))
    network = nn.Sequential()
    parts = {"first": first, "second": second, **more, "avgpool": nn.AdaptiveAvgPool2d(1)}
    for name, module in {**parts, "flat": nn.Flatten(), "head": nn.Sequential(nn.Linear(5, 7))}.items():
        network.add_module(name, module)
    return network.eval()


def test_the_last_linear_layer_becomes_the_classifier() -> None:
    theirs = trunk()
    linear, answers = theirs.get_submodule("head.0"), theirs(IMAGES)
    ours = TorchvisionNetwork(theirs)
    assert ours.classifier is linear
    assert torch.equal(ours(IMAGES), answers)
    assert [name for name, _ in ours.named_parameters()][-2:] == ["classifier.weight", "classifier.bias"]


def test_stages_are_the_last_maps_at_each_resolution() -> None:
    ours = TorchvisionNetwork(trunk())
    features = ours.features(IMAGES)
    layers = cast("Any", ours.trunk)
    first = layers.first(IMAGES)
    assert list(features) == ["stage1", "stage2", "stage3", "pooled"]
    assert torch.equal(features["stage1"], layers.first[0](IMAGES))
    assert torch.equal(features["stage2"], layers.second[0](first))
    assert torch.equal(features["stage3"], layers.second(first))
    assert features["pooled"].shape == (2, 5)


@pytest.mark.parametrize("size", [3, 4])
def test_maps_that_grow_again_are_no_stage(size: int) -> None:
    """As in torchvision's VGG, whose pooling makes 7x7 of any last map."""
    theirs = trunk()
    before = TorchvisionNetwork(theirs).features(IMAGES)
    layers = dict(theirs.named_children())
    spread = nn.Sequential(*(layers[name] for name in ("first", "second")), nn.AdaptiveAvgPool2d(size))
    after = TorchvisionNetwork(
        nn.Sequential(*spread, layers["avgpool"], nn.Flatten(), nn.Linear(5, 7)).eval()
    )
    features = after.features(IMAGES)
    assert list(features) == list(before)
    assert all(torch.equal(features[name], before[name]) for name in before if name != "pooled")


def test_nothing_listens_once_the_features_are_found() -> None:
    ours = TorchvisionNetwork(trunk())
    ours.features(IMAGES)
    assert not any(module._forward_hooks for module in ours.modules())


def test_nothing_listens_after_an_error_either() -> None:
    class Broken(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            raise RuntimeError("broken")

    ours = TorchvisionNetwork(trunk(broken=Broken()))
    with pytest.raises(RuntimeError, match="broken"):
        ours.features(IMAGES)
    assert not any(module._forward_hooks for module in ours.modules())


def test_a_network_that_ends_in_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match="Sequential does not end in a linear layer"):
        TorchvisionNetwork(nn.Sequential(nn.Linear(3, 2), nn.ReLU()))


@pytest.mark.parametrize(
    "name", ["googlenet", "inception_v3", "maxvit_t", "squeezenet1_0", "swin_t", "swin_v2_t", "vit_b_16"]
)
def test_networks_that_cannot_be_trained_here_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"torchvision/{name} cannot be trained here"):
        torchvision_builder(name)


@pytest.mark.parametrize("name", ["resnet19", "fcn_resnet50", ""])
def test_what_is_no_classifier_of_torchvision_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"no classifier '{name}'"):
        torchvision_builder(name)


def test_a_network_is_built_for_its_classes_without_stored_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def get_model(name: str, **arguments: Any) -> nn.Module:
        asked.append((name, arguments))
        return trunk()

    monkeypatch.setattr(torchvision.models, "get_model", get_model)
    build = torchvision_builder("resnet18")
    assert isinstance(build(num_classes=7, channels=3, image_size=32), TorchvisionNetwork)
    assert asked == [("resnet18", {"weights": None, "num_classes": 7})]
    with pytest.raises(ConfigError, match="it takes 3 channels, the images have 1"):
        build(num_classes=7, channels=1, image_size=32)
