"""Another's network shows the last map at each resolution, and answers as it did before."""

from typing import Any, cast

import pytest
import torch
import torchvision.models
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models.features import as_map, logits_and_features
from pdsearch.models.published import PublishedNetwork
from pdsearch.models.torchvision import builder

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
    ours = PublishedNetwork(theirs, "head.0", linear=True)
    assert ours.classifier is linear
    assert torch.equal(ours(IMAGES), answers)
    assert [name for name, _ in ours.named_parameters()][-2:] == ["classifier.weight", "classifier.bias"]


def test_stages_are_the_last_maps_at_each_resolution() -> None:
    ours = PublishedNetwork(trunk(), "head.0", linear=True)
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
    before = PublishedNetwork(theirs, "head.0", linear=True).features(IMAGES)
    layers = dict(theirs.named_children())
    spread = nn.Sequential(*(layers[name] for name in ("first", "second")), nn.AdaptiveAvgPool2d(size))
    after = PublishedNetwork(
        nn.Sequential(*spread, layers["avgpool"], nn.Flatten(), nn.Linear(5, 7)).eval(), "5", linear=True
    )
    features = after.features(IMAGES)
    assert list(features) == list(before)
    assert all(torch.equal(features[name], before[name]) for name in before if name != "pooled")


def test_nothing_listens_once_the_features_are_found() -> None:
    ours = PublishedNetwork(trunk(), "head.0", linear=True)
    ours.features(IMAGES)
    assert not any(module._forward_hooks for module in ours.modules())


def test_nothing_listens_after_an_error_either() -> None:
    class Broken(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            raise RuntimeError("broken")

    ours = PublishedNetwork(trunk(broken=Broken()), "head.0", linear=True)
    with pytest.raises(RuntimeError, match="broken"):
        ours.features(IMAGES)
    assert not any(module._forward_hooks for module in ours.modules())


def test_a_network_whose_logits_no_linear_layer_makes_stays_whole() -> None:
    theirs = nn.Sequential(
        nn.Conv2d(3, 4, 2, 2), nn.Conv2d(4, 7, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()
    ours = PublishedNetwork(theirs, "1", linear=False)
    features = ours.features(IMAGES)
    assert torch.equal(ours(IMAGES), theirs(IMAGES))
    torch.testing.assert_close(features["pooled"], theirs[0](IMAGES).mean((2, 3)))


def test_tokens_and_maps_with_channels_last_are_maps_too() -> None:
    images = torch.zeros(2, 3, 8, 16)
    assert as_map(torch.zeros(2, 5, 2, 4), images).shape == (2, 5, 2, 4)  # type: ignore[union-attr]
    assert as_map(torch.zeros(2, 2, 4, 5), images).shape == (2, 5, 2, 4)  # type: ignore[union-attr]
    tokens = torch.arange(2 * 6 * 3).view(2, 6, 3)  # two class tokens, then a square of four
    maps = as_map(tokens, IMAGES)
    assert maps is not None
    assert torch.equal(maps[0, :, 0, 1], tokens[0, 3])
    assert as_map((images,), images) is None
    assert as_map(images[0, 0], images) is None


@pytest.mark.parametrize("shown", [True, False])
def test_named_layers_are_the_stages(shown: bool) -> None:
    """Of a network that shows features, and of any other."""
    theirs = trunk()
    ours = PublishedNetwork(theirs, "head.0", linear=True) if shown else theirs
    layers = dict(theirs.named_modules())
    logits, features = logits_and_features(ours, IMAGES, ("second.0", "first.1.0"))
    assert torch.equal(logits, ours(IMAGES))
    assert list(features) == ["stage1", "stage2", *(["pooled"] if shown else [])]
    assert torch.equal(features["stage1"], layers["second.0"](layers["first"](IMAGES)))


def test_layers_that_give_no_map_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no layer 'secnd'") as caught:
        logits_and_features(trunk(), IMAGES, ("secnd",))
    assert "near are: second" in str(caught.value.hint)
    with pytest.raises(ConfigError, match=r"the layer head gives \(2, 7\), no map"):
        logits_and_features(trunk(), IMAGES, ("head",))


def test_a_network_is_built_for_its_classes_without_stored_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def get_model(name: str, **arguments: Any) -> nn.Module:
        asked.append((name, arguments))
        return trunk()

    monkeypatch.setattr(torchvision.models, "get_model", get_model)
    build = builder("resnet18")
    assert isinstance(build(num_classes=7, channels=3, image_size=32), PublishedNetwork)
    assert asked == [("resnet18", {"weights": None, "num_classes": 7})]
    with pytest.raises(ConfigError, match="it takes 3 channels, the images have 1"):
        build(num_classes=7, channels=1, image_size=32)
