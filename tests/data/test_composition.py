"""What a set holds is said, and what about it may surprise, a line a kind."""

import itertools
from collections.abc import Sequence

import torch

from pdsearch.data.dataset.composition import Contents, contents
from pdsearch.data.dataset.dataset import Dataset, Split

numbers = itertools.count()


def split(*labels: int) -> Split:
    """Return images that differ from all others."""
    images = torch.tensor([next(numbers) for _ in labels]).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    return Split(images.to(torch.uint8), torch.tensor(labels, dtype=torch.int64))


def found(train: Split, val: Split, test: Split, classes: Sequence[str]) -> Contents:
    return contents(Dataset(train, val, test, tuple(classes), torch.zeros(1), torch.ones(1)))


def lines(train: Split, val: Split, test: Split, classes: Sequence[str]) -> list[str]:
    """Return the notes on classes."""
    return [line for line in found(train, val, test, classes).notes if "points of accuracy" not in line]


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
    assert lines(split(0, 0, 1, 1), split(), split(0, 1), "abcdefgh") == [
        "6 of 8 classes have no image: c, d, e, f, g, ..."
    ]
    assert lines(split(1, 1), split(1), split(1), "ab") == [
        "all images are of one class, b: there is nothing to learn"
    ]


def test_labels_that_begin_at_one_and_numbers_in_the_order_of_words_are_said() -> None:
    assert lines(split(1, 2, 1, 2), split(), split(1, 2), "012") == [
        "1 of 3 classes has no image: 0; labels count from 0"
    ]
    assert lines(split(0, 1, 2), split(), split(0, 1, 2), ("1", "10", "9"))[0] == (
        "classes are numbers in the order of words, as the logits are: 1, 10, 9; 002 is before 010"
    )
    assert "order" not in " ".join(lines(split(0, 1), split(), split(0, 1), ("01", "10")))


def test_the_counts_and_the_commonest_class_are_said() -> None:
    held = found(split(0, 1, 0, 1), split(0, 0, 1), split(0, 1), "ab")
    assert held.counts == "4 training, 3 validation, 2 test images of uint8 (1, 2, 2), 2 classes (a, b)"
    assert held.notes == (
        "one validation image is 33 points of accuracy: smaller differences cannot show",
        "one test image is 50 points of accuracy: smaller differences cannot show",
    )
    assert held.commonest == {"val": (2 / 3, 3), "test": (0.5, 2)}
    assert found(split(0, 1), split(), split(0, 1), "ab").commonest == {"test": (0.5, 2)}


def test_images_of_two_splits_are_said() -> None:
    train, other = split(0, 1, 0, 1), split(0, 1)
    test = Split(torch.cat([train.images[1:3], other.images]), torch.tensor([1, 0, 0, 1]))
    assert lines(train, split(0, 1), test, "ab") == [
        "2 of 4 test images are training images too: test accuracy says less of new ones"
    ]


def test_names_alike_are_said() -> None:
    names = ("cat", "Cat", " cat", "caf\u00e9", "cafe\u0301", "dog")
    every = split(*range(6), *range(6))
    assert lines(every, split(), split(*range(6)), names) == [
        "5 classes have names alike, and may be meant to be one: 'cat', 'Cat', ' cat', 'caf\u00e9', 'cafe\u0301'"
    ]


def test_names_are_shown_cut_and_without_what_moves_a_terminal() -> None:
    held = found(split(0, 1), split(), split(0, 1), ("a\n\x1b[31m", "x" * 50))
    assert held.counts.endswith(r"2 classes (a\n\x1b[31m, " + "x" * 40 + "...)")
