"""The embedded digits: sizes, the fixed test set, a fingerprint that stays."""

import numpy as np
import pytest

from pdsearch.data.registry import sources
from pdsearch.errors import ConfigError
from pdsearch.specs import DataSpec
from tests.data.layouts import whole

SPEC = DataSpec(source="digits")


def test_sizes_and_values() -> None:
    raw = sources.get("digits").read(SPEC)
    assert raw.train_images.shape == (1347, 1, 8, 8)
    assert raw.test_images.shape == (450, 1, 8, 8)
    assert whole(raw.train_images).max() == 16


def test_the_test_set_has_45_images_of_each_digit() -> None:
    raw = sources.get("digits").read(SPEC)
    assert np.bincount(raw.test_labels).tolist() == [45] * 10


def test_the_test_set_is_fixed() -> None:
    first = sources.get("digits").read(SPEC)
    other = sources.get("digits").read(DataSpec(source="digits", split_seed=3, subset=100, val_fraction=0.5))
    assert np.array_equal(whole(first.test_images), whole(other.test_images))


def test_the_fingerprint_never_changes() -> None:
    found = sources.get("digits").fingerprint(SPEC)
    assert found == "d2492a3fb3f7f2305d03f303836c9ba49be8a7d83555288eb475cd7b506cd508"


def test_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="its options: none"):
        sources.get("digits").fingerprint(DataSpec(source="digits", options=(("label", "x"),)))
