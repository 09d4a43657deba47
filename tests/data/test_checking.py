"""What a set promises is checked, and what is wrong with it is said."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pdsearch.data.dataset.validate import checked
from pdsearch.data.registry import RawData
from pdsearch.errors import DataError
from tests.data.layouts import pixels

LABELS = np.array([0, 1, 1], dtype=np.int64)
RIGHT = RawData(pixels(3, 1, 8), LABELS, pixels(3, 1, 8), LABELS, ("a", "b"))


def test_a_right_set_is_returned() -> None:
    assert checked(RIGHT, "here") is RIGHT


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"train_images": pixels(3, 1, 8)[0]},
            r"here: train: images of shape \(1, 8, 8\); other inputs are float32",
        ),
        (
            {"test_images": pixels(3, 1, 8)[..., :4]},
            r"training and test inputs differ: uint8 \(1, 8, 8\) and",
        ),
        ({"train_images": pixels(3, 1, 8)[:0], "train_labels": LABELS[:0]}, r"train: inputs of shape \(0"),
        ({"test_images": pixels(3, 1, 8)[:0]}, r"test: inputs of shape \(0"),
        ({"train_images": pixels(3, 1, 8) / 255}, "inputs of type float64"),
        ({"train_labels": LABELS[:2]}, r"3 images and labels of shape \(2,\)"),
        ({"train_labels": LABELS.astype(np.int32)}, "labels of type int32"),
        ({"train_labels": LABELS - 1}, "labels from -1 to 0 of 2 classes"),
        ({"classes": ("a",)}, "labels from 0 to 1 of 1 classes"),
        ({"test_images": pixels(3, 3, 8)}, "training and test inputs differ"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], why: str) -> None:
    with pytest.raises(DataError, match=why):
        checked(replace(RIGHT, **change), "here")


def test_a_set_may_be_without_test_images() -> None:
    assert (
        len(
            checked(
                replace(RIGHT, test_images=pixels(3, 1, 8)[:0], test_labels=LABELS[:0]), "here"
            ).test_labels
        )
        == 0
    )
