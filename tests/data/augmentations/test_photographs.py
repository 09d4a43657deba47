"""Crops, colours and erased rectangles of photographs are torchvision's, drawn from the same distributions."""

from itertools import permutations

import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import ColorJitter as JitterReference
from torchvision.transforms import RandomErasing as ErasingReference
from torchvision.transforms import RandomResizedCrop as CropReference
from torchvision.transforms.v2 import CenterCrop
from torchvision.transforms.v2.functional import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    resized_crop,
)

from pdsearch.data.augmentations.color_jitter import UNIT, ColorJitter
from pdsearch.data.augmentations.erasing import RandomErasing
from pdsearch.data.augmentations.resized_crop import Flip, RandomResizedCrop
from pdsearch.data.dataset.dataset import Split
from pdsearch.data.dataset.views import Views
from pdsearch.errors import ConfigError

MANY = 4000


def photographs(count: int, size: int = 24) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def alike(ours: Tensor, theirs: Tensor) -> None:
    """Each column of draws has the same distribution."""
    for column in range(ours.shape[1]):
        assert ks_2samp(ours[:, column].numpy(), theirs[:, column].numpy()).pvalue > 1e-3


@pytest.mark.parametrize("scale", [0.08, 0.6])
def test_crops_are_drawn_as_torchvision_draws_them(scale: float) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        image = torch.zeros(3, 224, 224)
        theirs = [CropReference.get_params(image, [scale, 1.0], [3 / 4, 4 / 3]) for _ in range(MANY)]
    ours = RandomResizedCrop(scale).draw(MANY, 224, seeded())
    alike(ours, torch.tensor(theirs))
    assert int((ours[:, :2] + ours[:, 2:]).max()) <= 224
    assert int(ours.min()) >= 0


@pytest.mark.parametrize("side", [24, 16])
def test_crops_are_resized_as_torchvision_resizes_them(side: int) -> None:
    images = photographs(6)
    draws = RandomResizedCrop().draw(6, 24, seeded())
    views = RandomResizedCrop().crop(images, draws, side)
    for view, image, box in zip(views, images, draws.tolist(), strict=True):
        assert torch.equal(view, resized_crop(image, *box, size=[side, side], antialias=True))


def test_half_of_the_images_are_mirrored() -> None:
    images = photographs(6)
    draws = torch.tensor([[0], [1], [1], [0], [0], [1]])
    views = Flip().apply(images, draws)
    assert torch.equal(views[::3], images[::3])
    assert torch.equal(views[1], images[1].flip(-1))
    assert 0.45 < Flip().draw(MANY, 24, seeded()).float().mean() < 0.55


def test_colours_change_as_torchvision_changes_them_in_every_order() -> None:
    changes = (adjust_brightness, adjust_contrast, adjust_saturation)
    images, factors = photographs(6), torch.tensor([0.6, 1.3, 0.8])
    orders = list(permutations(range(3)))
    rows = [[n, *(factors * UNIT).round().long().tolist()] for n in range(6)]
    views = ColorJitter().apply(images, torch.tensor(rows))
    for view, image, order in zip(views, images, orders, strict=True):
        expected = image
        for number in order:
            expected = changes[number](expected, float(factors[number]))
        assert (view.int() - expected.int()).abs().max() <= 2
    reference = JitterReference(0.4, 0.4, 0.4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = [
            reference.get_params(reference.brightness, reference.contrast, reference.saturation, None)
            for _ in range(MANY)
        ]
    draws = ColorJitter().draw(MANY, 24, seeded())
    alike(draws[:, 1:].double() / UNIT, torch.tensor([row[1:4] for row in drawn], dtype=torch.float64))
    assert draws[:, 0].bincount().min() > MANY / 6 * 0.85


def test_rectangles_are_drawn_as_torchvision_draws_them_and_erased() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        image = torch.zeros(3, 32, 32)
        theirs = [
            ErasingReference.get_params(image, (0.02, 0.33), (0.3, 3.3), [0.0])[:4] for _ in range(MANY)
        ]
    ours = RandomErasing(1.0).draw(MANY, 32, seeded())
    alike(ours, torch.tensor(theirs))
    assert 0.2 < (RandomErasing(0.25).draw(MANY, 32, seeded())[:, 2] > 0).float().mean() < 0.3
    images = photographs(2).float() + 1
    views = RandomErasing().apply(images, torch.tensor([[2, 3, 5, 4], [0, 0, 0, 0]]))
    assert torch.equal(views[1], images[1])
    assert int((views[0] == 0).sum()) == 3 * 5 * 4
    assert float(views[0, :, 2:7, 3:7].sum()) == 0


def views_of(augment: str, images: Tensor, crop: int = 16) -> Views:
    split = Split(images, torch.arange(len(images)) % 2, crop)
    mean, std = torch.full((3,), 100.0), torch.full((3,), 50.0)
    return Views(split, mean=mean, std=std, augment=augment, stream=3, classes=2)


@pytest.mark.parametrize("size", [24, 25, 16])
def test_evaluation_sees_the_centre_as_imagenet_s_crop_does(size: int) -> None:
    images = photographs(4, size)
    shown = views_of("none", images).batch(0, torch.arange(4))
    torch.testing.assert_close(shown * 50 + 100, CenterCrop(16)(images).float())


RECIPE = "random_resized_crop+flip+rand_augment+color_jitter+random_erasing+mixup_or_cutmix"


@pytest.mark.parametrize(
    "augment", [RECIPE, "crop_flip+random_erasing", "random_resized_crop", "flip+trivial_augment"]
)
def test_views_of_a_crop_have_its_size_whatever_batch_they_are_in(augment: str) -> None:
    images = photographs(8)
    views, every = views_of(augment, images), torch.arange(8)
    whole = views.batch(2, every)
    assert whole.shape == (8, 3, 16, 16)
    assert torch.equal(views_of(augment, images).batch(2, torch.tensor([5])), whole[5:6])
    assert not torch.equal(views.batch(3, every), whole)
    assert views.targets(2, every).shape[0] == 8


def test_erased_pixels_are_the_mean() -> None:
    """After normalisation, as in torchvision's reference: 0, which no pixel of these images is."""
    images = photographs(8).clamp(min=120)
    views = views_of("random_erasing(1)", images).batch(0, torch.arange(8))
    assert bool(((views == 0).flatten(1).any(dim=1)).all())


def test_a_crop_that_is_larger_than_the_images_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.crop: crops of 32 pixels"):
        views_of("none", photographs(2), crop=32)
