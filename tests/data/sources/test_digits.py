"""The embedded digits: sizes, the fixed test set, a fingerprint that stays."""

import subprocess
import sys
from pathlib import Path

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


def test_they_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = sources.get("digits").read(SPEC)
    monkeypatch.setattr("pdsearch.data.sources.digits._file", lambda: None)
    theirs = sources.get("digits").read(SPEC)
    assert np.array_equal(whole(ours.train_images), whole(theirs.train_images))
    assert np.array_equal(whole(ours.test_images), whole(theirs.test_images))
    assert np.array_equal(ours.train_labels, theirs.train_labels)


def test_scikit_learn_itself_is_not_loaded() -> None:
    code = (
        "import sys; from pdsearch.data.registry import sources; from pdsearch.specs import DataSpec;"
        "sources.get('digits').read(DataSpec(source='digits')); assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
