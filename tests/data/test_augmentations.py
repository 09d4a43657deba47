"""Warps of images, and names of augmentations and their combination."""

import pytest
import torch

from pdsearch.data import image_operations
from pdsearch.data.augmentation_parser import canonical, chain
from pdsearch.data.augmentations.mixing import Mixup
from pdsearch.data.image_operations import Affine, rotation, shear, translation, warp
from pdsearch.data.registry import augmentations
from pdsearch.errors import ConfigError

IMAGES = torch.randint(1, 256, (3, 2, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_an_image_too_small_to_smooth_stays() -> None:
    assert torch.equal(image_operations.sharpness(IMAGES[..., :2, :2], torch.zeros(3)), IMAGES[..., :2, :2])


def warped(matrix: Affine, images: torch.Tensor = IMAGES) -> torch.Tensor:
    return warp(images, torch.tensor([matrix]).expand(len(images), 6))


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (90, 1), (180, 2), (-90, -1)])
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
