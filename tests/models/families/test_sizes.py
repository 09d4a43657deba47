"""Networks have the published numbers of weights.

Sources: He et al. (arXiv 1512.03385), table 6, for shortcuts without weights, the exact counts from
akamaster/pytorch_resnet_cifar10; Tian et al. (arXiv 1910.10699) and their code for CIFAR-100's resnet, wrn,
resnet8x4, MobileNetV2 and ShuffleNetV2; Liu et al. (arXiv 1810.05270) for VGG; Park and No (arXiv 2109.14960)
for the doubled VGG-19; kuangliu/pytorch-cifar for ResNet-18 and -50.
"""

import pytest
from torch import nn

from pdsearch.models import build, count_params

CIFAR100 = {
    "resnet8x4": 1_233_540,
    "resnet32x4": 7_433_860,
    "resnet20": 278_324,
    "resnet32": 472_756,
    "resnet56": 861_620,
    "resnet110": 1_736_564,
    "wrn_16_2": 703_284,
    "wrn_40_1": 569_780,
    "wrn_40_2": 2_255_156,
    "mobilenetv2": 812_836,
    "shufflenetv2": 1_355_528,
}
HE = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}
IMAGENET_FORM = {"resnet18": 11_173_962, "resnet50": 23_520_842}


def made(name: str, num_classes: int = 100, **options: object) -> nn.Module:
    given = tuple(sorted(options.items()))
    return build(name, num_classes=num_classes, channels=3, image_size=32, seed=0, options=given)


@pytest.mark.parametrize(("name", "weights"), CIFAR100.items())
def test_networks_of_the_distillation_literature(name: str, weights: int) -> None:
    assert count_params(made(name)) == weights


@pytest.mark.parametrize(("depth", "weights"), HE.items())
def test_residual_networks_as_he_et_al_made_them(depth: int, weights: int) -> None:
    assert count_params(made(f"resnet{depth}", 10, shortcut="pad")) == weights


@pytest.mark.parametrize(("name", "weights"), IMAGENET_FORM.items())
def test_four_stage_residual_networks(name: str, weights: int) -> None:
    assert count_params(made(name, 10)) == weights


@pytest.mark.parametrize(
    ("name", "weights"), [("vgg11_bn", 9_269_028), ("vgg19_bn", 20_070_180), ("vgg19dbl_bn", 75_329_316)]
)
def test_vgg_convolutions_and_classifier(name: str, weights: int) -> None:
    layers = [module for module in made(name).modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert sum(count_params(layer) for layer in layers) == weights


def test_the_digits_networks_are_large_and_small() -> None:
    sizes = [
        count_params(build(f"convnet_{size}", num_classes=10, channels=1, image_size=8, seed=0))
        for size in "lms"
    ]
    assert sizes == [154_330, 24_058, 1_442]
