"""The built-in families: options, published sizes, channel shuffle."""

from typing import Any

import pytest
import torch
from torch import nn

from pdsearch.errors import ConfigError
from pdsearch.models import build, count_params, models
from pdsearch.models.families.shufflenet import shuffle


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
        ("vgg8_bn", {"init": "xavier"}, "no weights are drawn by 'xavier'"),
    ],
)
def test_options_that_do_not_fit_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(name, **options)


@pytest.mark.parametrize(
    "name", ["convnet_s", "resnet8", "resnet18", "vgg8_bn", "wrn_16_1", "mobilenetv2", "shufflenetv2"]
)
def test_weights_are_drawn_as_he_et_al_or_as_torch_does(name: str) -> None:
    networks = made(name), made(name, init="he"), made(name, init="torch")
    weights = [dict(network.named_parameters()) for network in networks]
    assert all(torch.equal(weight, weights[1][key]) for key, weight in weights[0].items())
    last = weights[2]["classifier.weight"]
    assert last.abs().max().item() == pytest.approx(last.shape[1] ** -0.5, rel=0.1)


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


def test_convnet_widths_set_the_number_of_stages() -> None:
    features = made("convnet_s", widths=[2, 3, 4]).features(torch.zeros(1, 3, 32, 32))  # type: ignore[operator]
    assert list(features) == ["stage1", "stage2", "stage3", "pooled"]


COUNTED = {
    "mobilenetv2": 812_836,
    "resnet8": 83_892,
    "resnet14": 181_108,
    "resnet20": 278_324,
    "resnet32": 472_756,
    "resnet44": 667_188,
    "resnet56": 861_620,
    "resnet110": 1_736_564,
    "resnet8x4": 1_233_540,
    "resnet32x4": 7_433_860,
    "resnet50": 23_705_252,
    "shufflenetv2": 1_355_528,
    "vgg8_bn": 3_965_028,
    "vgg11_bn": 9_277_284,
    "vgg13_bn": 9_462_180,
    "vgg16_bn": 14_774_436,
    "vgg19_bn": 20_086_692,
    "wrn_16_1": 180_916,
    "wrn_16_2": 703_284,
    "wrn_16_4": 2_772_020,
    "wrn_16_8": 11_007_540,
    "wrn_28_2": 1_479_220,
    "wrn_28_4": 5_872_180,
    "wrn_28_10": 36_536_884,
    "wrn_40_1": 569_780,
    "wrn_40_2": 2_255_156,
    "wrn_40_4": 8_972_340,
}
PRINTED = {
    "resnet20": 272_474,
    "resnet56": 855_770,
    "resnet110": 1_730_714,
    "resnet18": 11_173_962,
    "resnet34": 21_282_122,
    "resnet50": 23_520_842,
    "vgg11_bn": 9_231_114,
    "vgg13_bn": 9_416_010,
    "vgg16_bn": 14_728_266,
    "vgg19_bn": 20_040_522,
    "wrn_28_10": 36_479_194,
}
HE = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}
PLANS = {"vgg11_bn": 9_269_028, "vgg19_bn": 20_070_180, "vgg19dbl_bn": 75_329_316}


def built(name: str, num_classes: int, **options: object) -> nn.Module:
    """A network without memory for its weights."""
    with torch.device("meta"):
        given = tuple(sorted(options.items()))
        return build(name, num_classes=num_classes, input_shape=(3, 32, 32), seed=0, options=given)


def with_biases(name: str, model: nn.Module) -> int:
    """Weights as others count them: their VGGs have one bias more for every channel of a convolution."""
    widths = [module.out_channels for module in model.modules() if isinstance(module, nn.Conv2d)]
    return count_params(model) + (sum(widths) if name.startswith("vgg") else 0)


@pytest.mark.parametrize(("name", "weights"), COUNTED.items())
def test_networks_of_the_distillation_literature(name: str, weights: int) -> None:
    assert with_biases(name, built(name, 100)) == weights


@pytest.mark.parametrize(("name", "weights"), PRINTED.items())
def test_networks_of_published_tables(name: str, weights: int) -> None:
    assert with_biases(name, built(name, 10)) == weights


@pytest.mark.parametrize(("depth", "weights"), HE.items())
def test_residual_networks_as_he_et_al_made_them(depth: int, weights: int) -> None:
    assert count_params(built(f"resnet{depth}", 10, shortcut="pad")) == weights


@pytest.mark.parametrize(("name", "weights"), PLANS.items())
def test_vgg_convolutions_and_classifier(name: str, weights: int) -> None:
    layers = [module for module in built(name, 100).modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert sum(count_params(layer) for layer in layers) == weights


def test_the_digits_networks_are_large_and_small() -> None:
    sizes = [
        count_params(build(f"convnet_{size}", num_classes=10, input_shape=(1, 8, 8), seed=0))
        for size in "lms"
    ]
    assert sizes == [154_330, 24_058, 1_442]


def test_no_network_is_without_a_published_number() -> None:
    ours = {f"convnet_{size}" for size in "lms"}
    assert set(models) == {*COUNTED, *PRINTED, *PLANS} | ours


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_channels_of_the_halves_alternate(layout: torch.memory_format) -> None:
    maps = torch.arange(2 * 6 * 3 * 2).reshape(2, 6, 3, 2).to(memory_format=layout)
    assert torch.equal(shuffle(maps), maps[:, [0, 3, 1, 4, 2, 5]])
    assert layout == torch.contiguous_format or shuffle(maps).is_contiguous(memory_format=layout)
