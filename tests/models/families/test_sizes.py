"""Networks have the published numbers of weights, exactly.

Sources, C for the number of classes:

- `COUNTED`, C 100: the networks of Tian et al. (arXiv 1910.10699), counted in their code, HobbitLong/RepDistiller at
  b84f547; mdistiller's networks are the same. Their VGGs have biases in the convolutions, in vain before batch
  normalisation, which ours leave out.
- `PRINTED`, C 10: figures that others print. ResNet-20, -56, -110 and WRN-28-10: the `_test` functions of
  osmr/imgclsmob. VGGs (with those biases): table 7 of NeuralFuse (arXiv 2306.16869) and, for VGG-13, the tables of
  kuangliu/pytorch-cifar's forks; ResNet-18, -34 and -50 as well. WRN to a tenth of a million: Zagoruyko and Komodakis
  (arXiv 1605.07146, tables 4 and 5).
- `HE`, C 10: He et al. (arXiv 1512.03385, table 6), shortcuts without weights; exact counts from
  akamaster/pytorch_resnet_cifar10.
- VGG-19 and its doubled form, convolutions and classifier: the plans in the code of Park and No (arXiv 2109.14960).
"""

import pytest
import torch
from torch import nn

from pdsearch.models import build, count_params, models

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
WIDE = {
    "wrn_16_8": 11.0,
    "wrn_28_10": 36.5,
    "wrn_40_1": 0.6,
    "wrn_40_2": 2.2,
    "wrn_40_4": 8.9,
}
HE = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}
PLANS = {"vgg11_bn": 9_269_028, "vgg19_bn": 20_070_180, "vgg19dbl_bn": 75_329_316}


def made(name: str, num_classes: int, **options: object) -> nn.Module:
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
    assert with_biases(name, made(name, 100)) == weights


@pytest.mark.parametrize(("name", "weights"), PRINTED.items())
def test_networks_of_published_tables(name: str, weights: int) -> None:
    assert with_biases(name, made(name, 10)) == weights


@pytest.mark.parametrize(("name", "millions"), WIDE.items())
def test_wide_networks_as_their_paper_counts_them(name: str, millions: float) -> None:
    # 8.949 and 10.961 million are 8.9 and 11.0 there.
    assert count_params(made(name, 10)) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize(("depth", "weights"), HE.items())
def test_residual_networks_as_he_et_al_made_them(depth: int, weights: int) -> None:
    assert count_params(made(f"resnet{depth}", 10, shortcut="pad")) == weights


@pytest.mark.parametrize(("name", "weights"), PLANS.items())
def test_vgg_convolutions_and_classifier(name: str, weights: int) -> None:
    layers = [module for module in made(name, 100).modules() if isinstance(module, nn.Conv2d | nn.Linear)]
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
