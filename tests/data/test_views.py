"""Views crop, flip and normalise as they say; independence of the batch is a property test."""

import pytest
import torch

from pdsearch.data import Split, Views, normalise
from pdsearch.data.augmentations.crop import Crop, padding
from pdsearch.data.augmentations.mixing import Mixup
from pdsearch.data.dataset.views import held
from pdsearch.errors import ConfigError
from pdsearch.specs import derive_seed

MEAN, STD = torch.tensor([100.0, 50.0]), torch.tensor([10.0, 20.0])


def images(count: int = 12, size: int = 8) -> Split:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 2, size, size), generator=generator, dtype=torch.uint8)
    return Split(pixels, torch.arange(count) % 3)


def views(augment: str, stream: int = 0, size: int = 8) -> Views:
    return Views(images(size=size), mean=MEAN, std=STD, augment=augment, stream=stream)


def test_normalise_uses_the_units_of_the_images() -> None:
    pixels = torch.full((1, 2, 1, 1), 110, dtype=torch.uint8)
    assert normalise(pixels, MEAN, STD).flatten().tolist() == [1.0, 3.0]


def test_unaugmented_views_are_the_images() -> None:
    split, seen = images(), views("none")
    assert seen.constant
    assert torch.equal(seen.batch(3, torch.tensor([2, 0])), normalise(split.images[[2, 0]], MEAN, STD))


def test_views_know_their_labels_and_length() -> None:
    assert len(views("none")) == 12
    assert torch.equal(views("none").labels, images().labels)


@pytest.mark.parametrize(("size", "expected"), [(8, 1), (32, 4), (64, 8), (4, 1)])
def test_padding(size: int, expected: int) -> None:
    assert padding(size) == expected


@pytest.mark.parametrize("flip", [0, 1])
@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 1), (2, 0)])
def test_crop_against_slices(flip: int, down: int, right: int) -> None:
    pixels = images(1).images
    padded = torch.nn.functional.pad(pixels, [1] * 4)[:, :, down : down + 8, right : right + 8]
    expected = padded.flip(3) if flip else padded
    assert torch.equal(Crop(flip=True).apply(pixels, torch.tensor([[down, right, flip]])), expected)


def test_crop_draws_every_offset_and_no_flip() -> None:
    draws = Crop(flip=False).draw(500, 32, torch.Generator().manual_seed(0))
    assert set(draws[:, 0].tolist()) == set(draws[:, 1].tolist()) == set(range(9))
    assert set(draws[:, 2].tolist()) == {0}


def test_crop_flip_mirrors_half_of_the_images() -> None:
    draws = Crop(flip=True).draw(2000, 32, torch.Generator().manual_seed(0))
    assert 0.45 < draws[:, 2].float().mean() < 0.55


def test_crop_and_crop_flip_shift_alike() -> None:
    one, other = (Crop(flip=flip).draw(9, 32, torch.Generator().manual_seed(0)) for flip in (False, True))
    assert torch.equal(one[:, :2], other[:, :2])


def test_epochs_and_streams_differ() -> None:
    every = torch.arange(12)
    first = views("crop").batch(0, every)
    assert not torch.equal(first, views("crop").batch(1, every))
    assert not torch.equal(first, views("crop", stream=1).batch(0, every))


def test_an_unknown_augmentation_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'crop_flip'"):
        views("cropflip")


def mixed(augment: str, classes: int | None = 3) -> Views:
    return Views(images(), mean=MEAN, std=STD, augment=augment, stream=5, classes=classes)


def test_targets_of_single_images_are_their_labels() -> None:
    assert torch.equal(views("crop").targets(4, torch.tensor([3, 1])), images().labels[[3, 1]])


def test_both_images_of_a_mixed_view_are_changed_first_each_by_its_own_draw() -> None:
    every, seen = torch.arange(12), mixed("crop_flip+mixup")
    changed = Views(images(), mean=MEAN, std=STD, augment="crop_flip", stream=5).batch(2, every)
    draws = Mixup().draw(12, 8, torch.Generator().manual_seed(derive_seed(5, "views", 2, "mixup")))
    partner, share = draws[:, 0], draws[:, 1].float() / 2**24
    weight = share[:, None, None, None]
    assert torch.equal(seen.batch(2, every), changed * weight + changed[partner] * (1 - weight))
    expected = torch.zeros(12, 3)
    expected[every, images().labels] += share
    expected[every, images().labels[partner]] += 1 - share
    torch.testing.assert_close(seen.targets(2, every), expected)


def test_mixed_targets_need_the_number_of_classes() -> None:
    with pytest.raises(ValueError, match="number of classes"):
        mixed("mixup", classes=None).targets(0, torch.tensor([0]))


def test_a_second_change_does_not_repeat_the_draws_of_the_first() -> None:
    alone = Views(images(), mean=MEAN, std=STD, augment="crop", stream=5)
    assert not torch.equal(mixed("crop_flip+crop")._draws(0)[1][:, :2], alone._draws(0)[0][:, :2])


def test_images_stay_where_they_are_on_the_cpu() -> None:
    pixels = images().images
    assert held(pixels, "cpu").data_ptr() == pixels.data_ptr()


@pytest.mark.parametrize("augment", ["none", "crop_flip", "crop_flip+mixup"])
def test_the_views_of_a_small_set_are_made_at_once_with_the_same_bits(
    augment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, seen = torch.tensor([3, 0, 2]), mixed(augment)
    ready = [seen.batch(epoch, index) for epoch in (0, 1, 0)]
    monkeypatch.setattr("pdsearch.data.dataset.views.SMALL_BYTES", 0)
    assert all(torch.equal(mixed(augment).batch(e, index), ready[n]) for n, e in enumerate((0, 1, 0)))
