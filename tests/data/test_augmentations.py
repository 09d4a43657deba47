"""Kernels of augmentations, and their combination."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms import functional as reference

from pdsearch.data import image_operations
from pdsearch.data.augmentation_parser import canonical, chain
from pdsearch.data.augmentations.mixing import Mixup
from pdsearch.data.image_operations import Affine, rotation, shear, translation, warp
from pdsearch.data.registry import augmentations
from pdsearch.errors import ConfigError

Change = Callable[[Tensor, Tensor], Tensor]
Reference = Callable[[Tensor, float], Tensor]

BLENDS: dict[str, tuple[Change, Reference]] = {
    "brightness": (image_operations.brightness, reference.adjust_brightness),
    "color": (image_operations.color, reference.adjust_saturation),
    "contrast": (image_operations.contrast, reference.adjust_contrast),
    "sharpness": (image_operations.sharpness, reference.adjust_sharpness),
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
def test_autocontrast(channels: int) -> None:
    assert torch.equal(image_operations.autocontrast(made(channels)), reference.autocontrast(made(channels)))


@pytest.mark.parametrize(("channels", "size"), [(1, 12), (3, 12), (3, 40)])
def test_equalize(channels: int, size: int) -> None:
    images = made(channels, size)
    assert torch.equal(image_operations.equalize(images), reference.equalize(images))


def test_an_image_too_small_to_smooth_stays() -> None:
    assert torch.equal(image_operations.sharpness(made(3, 2), torch.zeros(4)), made(3, 2))


IMAGES = torch.randint(1, 256, (3, 2, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def warped(matrix: Affine, images: torch.Tensor = IMAGES) -> torch.Tensor:
    return warp(images, torch.tensor([matrix]).expand(len(images), 6))


@pytest.mark.parametrize("matrix", [rotation(0), shear(0, 8, vertical=True), translation(0, vertical=False)])
def test_nothing_changes_nothing(matrix: Affine) -> None:
    assert torch.equal(warped(matrix), IMAGES)


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-90, -1)])
@pytest.mark.parametrize("size", [7, 8])
def test_quarter_turns(degrees: float, turns: int, size: int) -> None:
    images = IMAGES[..., :size, :size]
    assert torch.equal(warped(rotation(degrees), images), torch.rot90(images, turns, (2, 3)))


def test_shifts_fill_with_black() -> None:
    right = warped(translation(3, vertical=False))
    assert torch.equal(right[..., 3:], IMAGES[..., :-3])
    assert not right[..., :3].any()
    up = warped(translation(-2, vertical=True))
    assert torch.equal(up[..., :-2, :], IMAGES[..., 2:, :])
    assert not up[..., -2:, :].any()


def test_a_shear_moves_each_row_by_its_height() -> None:
    sheared = warped(shear(1, 8, vertical=False))
    for row in range(8):
        kept = 8 - row - 1  # The middle of row r moves by r + 0.5 pixels, which rounds up.
        assert torch.equal(sheared[..., row, :kept], IMAGES[..., row, row + 1 :])
        assert not sheared[..., row, kept:].any()


def test_a_chain_keeps_the_order_and_mixes_last() -> None:
    found = chain("crop_flip+trivial_augment+mixup(0.2)")
    assert [name for name, _ in found.changes] == ["crop_flip", "trivial_augment"]
    assert found.mixing == ("mixup", Mixup(alpha=0.2))


@pytest.mark.parametrize("name", augmentations.names())
def test_a_single_name_stays_as_it_is(name: str) -> None:
    assert canonical(name) == name


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("crop_flip + mixup", "crop_flip+mixup"),
        ("mixup(1)", "mixup"),
        ("mixup(1.0)", "mixup"),
        ("mixup( 0.20 )", "mixup(0.2)"),
        ("cutmix(2e-1)", "cutmix(0.2)"),
        ("rand_augment(9)+random_erasing(0.25)", "rand_augment+random_erasing(0.25)"),
    ],
)
def test_one_way_to_write_it(written: str, expected: str) -> None:
    assert canonical(written) == expected
    assert canonical(expected) == expected


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "'' is no augmentation"),
        ("crop+", "'' is no augmentation"),
        ("mixup(", "is no augmentation"),
        ("mixup(0.2)(0.3)", "is no augmentation"),
        ("none+mixup", "none goes with no other"),
        ("crop+crop", "twice"),
        ("mixup+crop", r"last: crop\+mixup"),
        ("mixup+cutmix", "mixup or cutmix"),
        ("crop(2)", "crop takes no number"),
        ("mixup(0)", "from 0.01 to 32"),
        ("mixup(nan)", "out of range"),
        ("mixup(much)", "out of range"),
        ("cropflip+mixup", "did you mean 'crop_flip'"),
        ("flip+random_resized_crop", "random_resized_crop comes first"),
        ("random_erasing+flip", "flip comes before random_erasing"),
        ("rand_augment(9.5)", "out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(written: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        chain(written)


def test_an_augmentation_need_not_be_a_dataclass(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = type("Plain", (), {"constant": False})()
    monkeypatch.setattr(augmentations, "_entries", {"plain": plain})
    assert canonical("plain") == "plain"
    assert chain("plain").constant is False
