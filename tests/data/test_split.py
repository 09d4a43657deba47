"""Splits take what they say of every class."""

import numpy as np
import pytest

from pdsearch.data.split import balanced_counts, choose, proportional_counts, split
from pdsearch.errors import ConfigError
from pdsearch.specs import DataSpec


def test_balanced_counts_fill_up_from_large_classes_when_small_ones_run_out() -> None:
    assert balanced_counts([2, 100, 100], 50) == [2, 24, 24]


def test_balanced_counts_differ_by_one_at_most_where_classes_are_large() -> None:
    assert sorted(balanced_counts([9, 9, 9], 10)) == [3, 3, 4]


def test_proportional_counts_keep_the_share_of_every_class() -> None:
    assert proportional_counts([1000, 10], 101) == [100, 1]


def test_a_larger_choice_contains_a_smaller_one() -> None:
    labels = np.arange(40, dtype=np.int64) % 4
    few, many = choose(labels, [2] * 4, 7), choose(labels, [5] * 4, 7)
    assert set(few) < set(many)


def test_choice_of_a_seed_never_changes() -> None:
    labels = np.arange(20, dtype=np.int64) % 2
    assert choose(labels, [3, 3], 0).tolist() == [2, 3, 8, 11, 13, 18]


@pytest.mark.parametrize("subset", [0, 101, -3])
def test_an_impossible_subset_is_refused(subset: int) -> None:
    labels = np.zeros(100, dtype=np.int64)
    with pytest.raises(ConfigError, match="of 100 training images\n  -> use 100 at most"):
        split(labels, 1, DataSpec(source="any", subset=subset))


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match="val_fraction"):
        split(np.zeros(100, dtype=np.int64), 1, DataSpec(source="any", val_fraction=fraction))


@pytest.mark.parametrize(("fraction", "part"), [(0.01, "validation"), (0.99, "training")])
def test_an_empty_part_is_refused(fraction: float, part: str) -> None:
    with pytest.raises(ConfigError, match=f"no image is left for {part}"):
        split(np.zeros(10, dtype=np.int64), 1, DataSpec(source="any", val_fraction=fraction))


def test_no_fraction_means_no_validation_images() -> None:
    train, val = split(np.zeros(10, dtype=np.int64), 1, DataSpec(source="any", val_fraction=0))
    assert len(train) == 10
    assert len(val) == 0
