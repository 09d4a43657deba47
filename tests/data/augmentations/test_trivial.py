"""Augmentations: TrivialAugment, and views of two images."""

from itertools import product

import pytest
import torch
from torchvision.transforms import InterpolationMode, TrivialAugmentWide
from torchvision.transforms import RandAugment as RandomReference
from torchvision.transforms.autoaugment import _apply_op

from pdsearch.data.augmentations.mixing import Cutmix, Mixup, MixupOrCutmix
from pdsearch.data.augmentations.random_operations import RandAugment, TrivialAugment
from pdsearch.data.image_operations import BLENDS, LEVELS, OPERATIONS, WARPS
from pdsearch.data.registry import Mixing

THEIRS = TrivialAugmentWide()._augmentation_space(LEVELS)
IMAGES = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def made(channels: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(channels)
    whole = torch.randint(0, 256, (4, channels, 32, 32), dtype=torch.uint8, generator=random)
    whole[1] = whole[1] // 4 + 60  # A flat image,
    whole[2] = 77  # one of a single value,
    whole[3, :, :, 3:] = 0  # and a mostly black one.
    return whole


def theirs(images: torch.Tensor, operation: int, level: int, sign: int) -> torch.Tensor:
    name = list(THEIRS)[operation]
    magnitudes, signed = THEIRS[name]
    magnitude = float(magnitudes[level]) if magnitudes.ndim else 0.0
    magnitude *= -1 if signed and sign else 1
    changed: torch.Tensor = _apply_op(images, name, magnitude, InterpolationMode.NEAREST, None)
    return changed


def test_the_operations_are_theirs_in_their_order() -> None:
    assert [name.replace("_", "") for name in OPERATIONS] == [name.lower() for name in THEIRS]


@pytest.mark.parametrize("operation", range(len(OPERATIONS)), ids=OPERATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_level_is_theirs(operation: int, channels: int) -> None:
    images, name = made(channels), OPERATIONS[operation]
    for level, sign in product((0, 7, 16, 30), (0, 1)):
        ours = TrivialAugment().apply(images, torch.tensor([[operation, level, sign]]).expand(4, 3))
        # Blends may round otherwise; the nearest pixel is ambiguous halfway between two.
        far = (ours.int() - theirs(images, operation, level, sign).int()).abs() > (name in BLENDS)
        assert far.float().mean() <= (0.04 if name in WARPS else 0.0), level


@pytest.mark.parametrize("magnitude", [0, 9, 17, 30])
def test_rand_augment_is_torchvision_s_one_operation_after_the_other(magnitude: int) -> None:
    space = RandomReference(magnitude=magnitude)._augmentation_space(LEVELS, (32, 32))
    names = list(space)
    assert [name.lower() for name in names] == [name.replace("_", "") for name in OPERATIONS]
    for first in range(len(OPERATIONS)):
        second, signs = (first * 5 + 3) % len(OPERATIONS), (first % 2, 1 - first % 2)
        row = torch.tensor([[first, signs[0], second, signs[1]]])
        ours, expected = RandAugment(magnitude).apply(IMAGES, row)[0], IMAGES[0]
        for operation, sign in zip((first, second), signs, strict=True):
            magnitudes, signed = space[names[operation]]
            amount = float(magnitudes[magnitude]) if magnitudes.ndim else 0.0
            amount *= -1 if signed and sign else 1
            expected = _apply_op(expected, names[operation], amount, InterpolationMode.NEAREST, None)
        far = (ours.int() - expected.int()).abs() > 1
        # Rounding in between is another for these after a blend; the nearest pixel may be ambiguous.
        amplified = {"posterize", "solarize", "equalize", "autocontrast", "sharpness"} & {OPERATIONS[second]}
        warped = {OPERATIONS[first], OPERATIONS[second]} & {*WARPS}
        assert far.float().mean() <= (0.1 if amplified or warped else 0.0), (first, second)


def test_rand_augment_draws_two_operations_and_signs_an_image() -> None:
    draws = RandAugment().draw(3000, 32, torch.Generator().manual_seed(0))
    assert [len(column.unique()) for column in draws.T] == [len(OPERATIONS), 2, len(OPERATIONS), 2]
    images = IMAGES.expand(64, -1, -1, -1)
    alone = torch.cat([RandAugment().apply(IMAGES, row[None]) for row in draws[:64]])
    assert torch.equal(RandAugment().apply(images, draws[:64]), alone)


def test_a_batch_of_all_operations_changes_each_image_by_its_own() -> None:
    operations = torch.arange(len(OPERATIONS)).repeat(2)
    draws = torch.stack([operations, operations * 2, operations % 2], dim=1)
    images = IMAGES.expand(len(draws), -1, -1, -1)
    alone = torch.cat([TrivialAugment().apply(IMAGES, row[None]) for row in draws])
    assert torch.equal(TrivialAugment().apply(images, draws), alone)


def test_every_operation_level_and_sign_is_drawn() -> None:
    draws = TrivialAugment().draw(3000, 32, torch.Generator().manual_seed(0))
    assert [len(column.unique()) for column in draws.T] == [len(OPERATIONS), LEVELS, 2]
    assert draws[:, 0].bincount().min() > 150


SIZE = 8
EVERY = [Mixup(), Cutmix(), MixupOrCutmix(), Mixup(0.2), Cutmix(0.2)]


def drawn(mixing: Mixing, images: int = 400) -> torch.Tensor:
    return mixing.draw(images, SIZE, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mixing", EVERY, ids=repr)
def test_every_image_is_a_partner_once(mixing: Mixing) -> None:
    assert drawn(mixing)[:, 0].sort().values.tolist() == list(range(400))


@pytest.mark.parametrize("mixing", EVERY, ids=repr)
def test_the_share_of_the_target_is_the_share_of_the_pixels(mixing: Mixing) -> None:
    draws = drawn(mixing)
    ours, theirs = torch.ones(400, 3, SIZE, SIZE), torch.zeros(400, 3, SIZE, SIZE)
    seen = mixing.apply(ours, theirs, draws).mean(dim=(1, 2, 3))
    torch.testing.assert_close(seen, mixing.share(draws, SIZE))


def test_cutmix_pastes_a_box() -> None:
    ours, theirs = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    expected = torch.zeros(1, 1, 4, 4)
    expected[..., 1:3, 0:2] = 1
    row = torch.tensor([[0, 1, 3, 0, 2]])
    assert torch.equal(Cutmix().apply(ours, theirs, row), expected)
    assert Cutmix().share(row, 4).item() == 0.75


@pytest.mark.parametrize(("alpha", "variance"), [(1.0, 1 / 12), (0.2, 1 / 5.6), (8.0, 1 / 68)])
def test_shares_have_the_variance_of_the_beta_distribution(alpha: float, variance: float) -> None:
    shares = Mixup().share(drawn(Mixup(alpha), 4000), SIZE)
    assert shares.mean().item() == pytest.approx(0.5, abs=0.02)
    assert shares.var().item() == pytest.approx(variance, rel=0.1)  # 1 / (4 (2 alpha + 1))


def test_boxes_lie_inside_and_reach_every_size() -> None:
    draws = drawn(Cutmix(), 4000)
    assert draws[:, 1:].min() == 0
    assert draws[:, 1:].max() == SIZE
    assert (draws[:, 2] >= draws[:, 1]).all()
    assert (draws[:, 4] >= draws[:, 3]).all()


def test_either_is_drawn_half_of_the_time() -> None:
    assert 0.45 < drawn(MixupOrCutmix(), 2000)[:, 1].float().mean() < 0.55
