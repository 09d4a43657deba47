"""Augmentations are named in one way, and combinations that make no sense are refused with the reason."""

import pytest

from pdsearch.data.augmentation_parser import canonical, chain
from pdsearch.data.augmentations.mixing import Mixup
from pdsearch.data.registry import augmentations
from pdsearch.errors import ConfigError


def test_a_chain_keeps_the_order_and_mixes_last() -> None:
    found = chain("crop_flip+trivial_augment+mixup(0.2)")
    assert [name for name, _ in found.changes] == ["crop_flip", "trivial_augment"]
    assert found.mixing == ("mixup", Mixup(alpha=0.2))


@pytest.mark.parametrize("name", augmentations.names())
def test_a_single_name_stays_as_it_is(name: str) -> None:
    assert canonical(name) == name


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("crop_flip + mixup", "crop_flip+mixup"),
        ("mixup(1)", "mixup"),
        ("mixup(1.0)", "mixup"),
        ("mixup( 0.20 )", "mixup(0.2)"),
        ("cutmix(2e-1)", "cutmix(0.2)"),
    ],
)
def test_one_way_to_write_it(written: str, expected: str) -> None:
    assert canonical(written) == expected
    assert canonical(expected) == expected


@pytest.mark.parametrize(("name", "constant"), [("none", True), ("crop", False), ("mixup", False)])
def test_constant(name: str, constant: bool) -> None:
    assert chain(name).constant is constant


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "'' is no augmentation"),
        ("crop+", "'' is no augmentation"),
        ("mixup(", "is no augmentation"),
        ("mixup(0.2)(0.3)", "is no augmentation"),
        ("none+mixup", "none goes with no other"),
        ("crop+crop", "twice"),
        ("mixup+crop", r"last: crop\+mixup"),
        ("mixup+cutmix", "mixup or cutmix"),
        ("crop(2)", "crop takes no number"),
        ("mixup(0)", "from 0.01 to 32"),
        ("mixup(nan)", "out of range"),
        ("mixup(much)", "out of range"),
        ("cropflip+mixup", "did you mean 'crop_flip'"),
    ],
)
def test_what_makes_no_sense_is_refused(written: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        chain(written)
