"""Networks take their options, and refuse those that do not fit."""

from typing import Any

import pytest
import torch

from pdsearch.errors import ConfigError
from pdsearch.models import build


def made(name: str, image_size: int = 32, **options: Any) -> torch.nn.Module:
    given = tuple(sorted(options.items()))
    return build(name, num_classes=5, input_shape=(3, image_size, image_size), seed=0, options=given).eval()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg11_bn", {"widths": (4, 4)}, "2 widths for 8 convolutions"),
        ("resnet20", {"depth": 21}, "no network has depth 21"),
        ("resnet8", {"widths": (4, 4)}, "2 widths, 4 needed"),
        ("resnet8", {"inner": (4,)}, "1 inner widths for 3 blocks"),
        ("resnet8", {"shortcut": "none"}, "no shortcut 'none'"),
        ("resnet8", {"shortcut": "pad", "widths": (16, 8, 8, 8)}, "from 16 to 8 channels"),
        ("wrn_16_1", {"depth": 17}, "no network has depth 17"),
        ("convnet_l", {"with": 4}, "model 'convnet_l' has no option 'with'"),
    ],
)
def test_options_that_do_not_fit_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(name, **options)


@pytest.mark.parametrize(
    ("name", "smallest"),
    [
        ("vgg8_bn", 16),
        ("convnet_l", 4),
        ("resnet8", 4),
        ("wrn_16_1", 4),
        ("resnet18", 8),
        ("mobilenetv2", 16),
    ],
)
def test_small_images_are_refused(name: str, smallest: int) -> None:
    assert made(name, smallest)(torch.zeros(1, 3, smallest, smallest)).shape == (1, 5)
    with pytest.raises(ConfigError, match=f"{smallest} pixels or more, not {smallest - 1}"):
        made(name, smallest - 1)


def test_vgg_widths_are_those_of_every_convolution() -> None:
    widths = (3, 4, 5, 6, 7)
    features = made("vgg8_bn", widths=widths).features(torch.zeros(1, 3, 32, 32))  # type: ignore[operator]
    assert [features[f"stage{n}"].shape[1] for n in range(1, 6)] == list(widths)


def test_inner_widths_leave_the_trunk_as_it_is() -> None:
    features = made("resnet8", inner=(3, 5, 7)).features(torch.zeros(1, 3, 32, 32))  # type: ignore[operator]
    assert features["pooled"].shape == (1, 64)


def test_convnet_widths_set_the_number_of_stages() -> None:
    features = made("convnet_s", widths=[2, 3, 4]).features(torch.zeros(1, 3, 32, 32))  # type: ignore[operator]
    assert list(features) == ["stage1", "stage2", "stage3", "pooled"]
