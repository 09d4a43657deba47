"""Names become networks; torchvision's too."""

import pytest
import torch

from pdsearch.errors import ConfigError
from pdsearch.models import build, models


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'shufflenetv2'"):
        build("shuflenetv2", num_classes=2, channels=3, image_size=32, seed=0)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_torchvision_networks_show_their_features(name: str) -> None:
    model = build(f"torchvision/{name}", num_classes=7, channels=3, image_size=64, seed=0).eval()
    images = torch.randn(2, 3, 64, 64)
    features = model.features(images)  # type: ignore[operator]
    assert list(features) == ["stage1", "stage2", "stage3", "stage4", "stage5", "pooled"]
    assert [features[f"stage{n}"].shape[-1] for n in range(1, 6)] == [32, 16, 8, 4, 2]
    assert torch.equal(model.classifier(features["pooled"]), model(images))  # type: ignore[operator]


@pytest.mark.parametrize("name", ["resnet19", "vit_b_16", "googlenet", "raft_large"])
def test_torchvision_networks_that_do_not_fit_are_refused(name: str) -> None:
    assert f"torchvision/{name}" not in models
    with pytest.raises(ConfigError, match=name):
        build(f"torchvision/{name}", num_classes=7, channels=3, image_size=64, seed=0)


def test_torchvision_networks_take_colour_images() -> None:
    with pytest.raises(ConfigError, match="takes 3 channels, the images have 1"):
        build("torchvision/resnet18", num_classes=7, channels=1, image_size=64, seed=0)


def test_names_are_known() -> None:
    assert "torchvision/resnet18" in models
    assert "resnet20" in models
    assert "torchvision" not in models
