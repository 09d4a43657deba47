"""Classes that lack images in a part of the set are said, a line a kind."""

import torch

from pdsearch.data import Dataset, Split
from pdsearch.data.dataset.composition import lacking


def split(*labels: int) -> Split:
    return Split(
        torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8), torch.tensor(labels, dtype=torch.int64)
    )


def lines(train: Split, val: Split, test: Split, classes: str) -> list[str]:
    return [*lacking(Dataset(train, val, test, tuple(classes), torch.zeros(1), torch.ones(1)))]


def test_a_set_that_lacks_nothing_is_not_spoken_of() -> None:
    assert lines(split(0, 1, 0, 1), split(0, 1), split(0, 1), "ab") == []
    assert lines(split(0, 1, 0, 1), split(), split(0, 1), "ab") == []


def test_every_kind_has_a_line() -> None:
    assert lines(split(0, 0, 1, 3, 3), split(0, 2), split(0, 1), "abcde") == [
        "1 of 5 classes has no image: e",
        "1 of 5 classes has no training image: c",
        "1 of 5 classes has a single training image: b",
        "2 of 5 classes have no validation image: b, d",
        "2 of 5 classes have no test image: c, d",
    ]


def test_many_classes_are_not_all_named() -> None:
    assert lines(split(0, 0, 1, 1), split(), split(0, 1), "abcdefgh") == [
        "6 of 8 classes have no image: c, d, e, f, g, ..."
    ]


def test_of_one_class_there_is_nothing_to_learn() -> None:
    assert lines(split(1, 1), split(1), split(1), "ab") == [
        "all images are of one class, b: there is nothing to learn"
    ]
