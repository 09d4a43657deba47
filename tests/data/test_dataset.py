"""A data set: its parts, its statistics, and what of it is public."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pdsearch.data.dataset.dataset import Dataset, Histogram
from pdsearch.data.dataset.split import (
    balanced_counts,
    choose_positions,
    parts,
    proportional_counts,
    split_positions,
)
from pdsearch.data.registry import RawData
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec
from tests.data.layouts import pixels, prepared

SPEC = DataSpec(source="made", val_fraction=0.25)


def made(images: int = 80, classes: int = 4, size: int = 6) -> RawData:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images + 20, 3, size, size), dtype=np.uint8)
    labels = np.arange(images + 20, dtype=np.int64) % classes
    names = tuple("abcdefgh"[:classes])
    return RawData(pixels[:images], labels[:images], pixels[images:], labels[images:], names)


@pytest.fixture
def ds() -> Dataset:
    return prepared(made(), SPEC)


def test_parts_and_shape(ds: Dataset) -> None:
    assert (len(ds.train), len(ds.val), len(ds.test)) == (60, 20, 20)
    assert (str(ds.inputs), ds.num_classes) == ("uint8 (3, 6, 6)", 4)


def test_statistics_are_those_of_the_training_part_alone(ds: Dataset) -> None:
    images = ds.train.images.double()
    torch.testing.assert_close(ds.mean, images.mean((0, 2, 3)).float())
    torch.testing.assert_close(ds.std, images.std((0, 2, 3), correction=0).float())
    assert ds.mean.dtype == ds.std.dtype == torch.float32


def test_the_test_part_depends_on_nothing_in_the_spec(ds: Dataset) -> None:
    other = prepared(made(), replace(SPEC, split_seed=9, subset=40, val_fraction=0.5))
    assert torch.equal(ds.test.images, other.test.images)


def test_the_split_seed_changes_the_cut(ds: Dataset) -> None:
    other = prepared(made(), replace(SPEC, split_seed=1))
    assert not torch.equal(ds.val.images, other.val.images)


def test_balanced_counts_fill_up_from_large_classes_when_small_ones_run_out() -> None:
    assert balanced_counts([2, 100, 100], 50) == [2, 24, 24]


def test_proportional_counts_keep_the_share_of_every_class() -> None:
    assert proportional_counts([1000, 10], 101) == [100, 1]


def test_a_larger_choice_contains_a_smaller_one() -> None:
    labels = np.arange(40, dtype=np.int64) % 4
    few, many = choose_positions(labels, [2] * 4, 7), choose_positions(labels, [5] * 4, 7)
    assert set(few) < set(many)


def test_choice_of_a_seed_never_changes() -> None:
    labels = np.arange(20, dtype=np.int64) % 2
    assert choose_positions(labels, [3, 3], 0).tolist() == [2, 3, 8, 11, 13, 18]


@pytest.mark.parametrize("subset", [0, 101, -3])
def test_an_impossible_subset_is_refused(subset: int) -> None:
    labels = np.zeros(100, dtype=np.int64)
    with pytest.raises(ConfigError, match="of 100 training images\n  -> use 100 at most"):
        split_positions(labels, 1, DataSpec(source="any", subset=subset))


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match="val_fraction"):
        split_positions(np.zeros(100, dtype=np.int64), 1, DataSpec(source="any", val_fraction=fraction))


@pytest.mark.parametrize(("fraction", "part"), [(0.01, "validation"), (0.99, "training")])
def test_an_empty_part_is_refused(fraction: float, part: str) -> None:
    with pytest.raises(ConfigError, match=f"no image is left for {part}"):
        split_positions(np.zeros(10, dtype=np.int64), 1, DataSpec(source="any", val_fraction=fraction))


LABELS = np.array([0] * 20 + [1] * 10 + [2], dtype=np.int64)
NO_TEST = RawData(pixels(31, 1, 2), LABELS, pixels(0, 1, 2), LABELS[:0], ("a", "b", "c"))
CUT = DataSpec(source="any", test_fraction=0.2, val_fraction=0.1, split_seed=3)


def test_test_images_are_cut_off_before_everything_else() -> None:
    found = parts(NO_TEST, CUT)
    assert np.array_equal(found["test"].labels, [0] * 4 + [1] * 2)
    assert np.array_equal(np.sort(np.concatenate([part.index for part in found.values()])), np.arange(31))
    assert len(found["val"].index) == 2  # A tenth of what is left.
    for change in ({"val_fraction": 0.5}, {"subset": 10}, {"val_fraction": 0.0}):
        again = parts(NO_TEST, replace(CUT, **change))
        assert np.array_equal(again["test"].index, found["test"].index)
        assert not set(again["test"].index) & {*again["train"].index, *again["val"].index}
    assert not np.array_equal(parts(NO_TEST, replace(CUT, split_seed=4))["test"].index, found["test"].index)


def test_the_last_image_of_a_class_is_not_cut_off() -> None:
    spec = replace(CUT, test_fraction=0.9, val_fraction=0.0)
    assert np.bincount(parts(NO_TEST, spec)["test"].labels).tolist() == [18, 9]
    single = replace(NO_TEST, train_labels=np.arange(31, dtype=np.int64), classes=tuple(map(str, range(31))))
    with pytest.raises(ConfigError, match="no image is left for testing"):
        parts(single, spec)


def test_a_set_with_test_images_is_split_as_before_there_was_a_test_fraction() -> None:
    whole = replace(NO_TEST, test_images=pixels(2, 1, 2), test_labels=LABELS[:2])
    found, spec = parts(whole, replace(CUT, test_fraction=0.0)), replace(CUT, test_fraction=0.0)
    train, val = split_positions(LABELS, 3, spec)
    assert np.array_equal(found["train"].index, train)
    assert np.array_equal(found["val"].index, val)
    assert found["test"].images is whole.test_images
    with pytest.raises(ConfigError, match=r"^data\.test_fraction: the set has test images of its own"):
        parts(whole, CUT)


def test_without_test_images_a_test_fraction_is_asked_for() -> None:
    with pytest.raises(DataError, match=r"no test images\n  -> set data\.test_fraction"):
        parts(NO_TEST, DataSpec(source="any"))
    with pytest.raises(ConfigError, match=r"^data\.test_fraction: no image is left for testing of 31"):
        parts(NO_TEST, replace(CUT, test_fraction=0.01))


def test_a_constant_channel_has_deviation_one() -> None:
    found = Histogram(2)
    found.add(np.full((3, 2, 4, 4), 9, dtype=np.uint8))
    assert found.mean.tolist() == [9, 9]
    assert found.std.tolist() == [1, 1]
