"""Each change of values agrees with torchvision's, to one level where both round."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms import functional as reference

from pdsearch.data import photometric

Change = Callable[[Tensor, Tensor], Tensor]
Reference = Callable[[Tensor, float], Tensor]

BLENDS: dict[str, tuple[Change, Reference]] = {
    "brightness": (photometric.brightness, reference.adjust_brightness),
    "color": (photometric.color, reference.adjust_saturation),
    "contrast": (photometric.contrast, reference.adjust_contrast),
    "sharpness": (photometric.sharpness, reference.adjust_sharpness),
}


def made(channels: int, size: int = 12) -> Tensor:
    random = torch.Generator().manual_seed(channels)
    whole = torch.randint(0, 256, (4, channels, size, size), dtype=torch.uint8, generator=random)
    whole[1] = whole[1] // 4 + 60  # A flat image,
    whole[2] = 77  # one of a single value,
    whole[3, :, :, 3:] = 0  # and a mostly black one.
    return whole


def differ(ours: Tensor, theirs: Tensor) -> int:
    return int((ours.int() - theirs.int()).abs().max())


@pytest.mark.parametrize("name", BLENDS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [0.01, 0.6, 1.0, 1.99])
def test_blends(name: str, channels: int, factor: float) -> None:
    images, (ours, theirs) = made(channels), BLENDS[name]
    found = ours(images, torch.full((4,), factor))
    assert found.dtype == torch.uint8
    assert differ(found, torch.stack([theirs(image, factor) for image in images])) <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [2, 5, 8])
def test_posterize(channels: int, bits: int) -> None:
    images = made(channels)
    found = photometric.posterize(images, torch.full((4,), bits))
    assert torch.equal(found, reference.posterize(images, bits))


@pytest.mark.parametrize("threshold", [0.0, 59.5, 128.0, 255.0])
def test_solarize(threshold: float) -> None:
    images = made(3)
    found = photometric.solarize(images, torch.full((4,), threshold))
    assert torch.equal(found, reference.solarize(images, threshold))


@pytest.mark.parametrize("channels", [1, 3])
def test_autocontrast(channels: int) -> None:
    assert torch.equal(photometric.autocontrast(made(channels)), reference.autocontrast(made(channels)))


@pytest.mark.parametrize(("channels", "size"), [(1, 12), (3, 12), (3, 40)])
def test_equalize(channels: int, size: int) -> None:
    images = made(channels, size)
    assert torch.equal(photometric.equalize(images), reference.equalize(images))


def test_each_image_has_its_own_factor() -> None:
    images = made(3)
    found = photometric.brightness(images, torch.tensor([0.0, 1.0, 1.0, 0.0]))
    assert torch.equal(found[1:3], images[1:3])
    assert not found[[0, 3]].any()


def test_an_image_too_small_to_smooth_stays() -> None:
    assert torch.equal(photometric.sharpness(made(3, 2), torch.zeros(4)), made(3, 2))
