"""Warped images are what slices and turns of whole images say, to the pixel."""

import pytest
import torch

from pdsearch.data.geometric import Affine, rotation, shear, translation, warp

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


def test_a_shift_beyond_the_image_leaves_nothing() -> None:
    assert not warped(translation(8, vertical=True)).any()


def test_a_shear_moves_each_row_by_its_height() -> None:
    sheared = warped(shear(1, 8, vertical=False))
    for row in range(8):
        kept = 8 - row - 1  # The middle of row r moves by r + 0.5 pixels, which rounds up.
        assert torch.equal(sheared[..., row, :kept], IMAGES[..., row, row + 1 :])
        assert not sheared[..., row, kept:].any()


def test_each_image_has_its_own_matrix() -> None:
    matrices = torch.tensor([rotation(90), rotation(0), rotation(180)])
    expected = [torch.rot90(IMAGES[0], 1, (1, 2)), IMAGES[1], torch.rot90(IMAGES[2], 2, (1, 2))]
    assert torch.equal(warp(IMAGES, matrices), torch.stack(expected))
