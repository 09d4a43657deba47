"""What holds for every split and every view."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pdsearch.data import RawData
from pdsearch.data.dataset.dataset import Split
from pdsearch.data.dataset.split import balanced_counts, proportional_counts
from pdsearch.data.dataset.views import Views
from pdsearch.data.registry import augmentations
from pdsearch.specs import DataSpec
from tests.data.layouts import prepared

SIZES = st.lists(st.integers(0, 60), min_size=1, max_size=8).filter(lambda sizes: sum(sizes) > 0)


@given(SIZES, st.data())
def test_balanced_counts_are_exact_and_as_equal_as_possible(
    available: list[int], data: st.DataObject
) -> None:
    total = data.draw(st.integers(0, sum(available)))
    counts = balanced_counts(available, total)
    assert sum(counts) == total
    assert all(0 <= count <= images for count, images in zip(counts, available, strict=True))
    spare = [count for count, images in zip(counts, available, strict=True) if count < images]
    assert not spare or max(counts) <= min(spare) + 1


@given(SIZES, st.data())
def test_proportional_counts_are_exact_and_within_one_of_the_share(
    available: list[int], data: st.DataObject
) -> None:
    total = data.draw(st.integers(0, sum(available)))
    counts = proportional_counts(available, total)
    assert sum(counts) == total
    for count, images in zip(counts, available, strict=True):
        assert abs(count - total * images / sum(available)) < 1
        assert count <= images


@settings(max_examples=40)
@given(
    classes=st.integers(1, 5),
    images=st.integers(30, 90),
    seed=st.integers(0, 5),
    fraction=st.sampled_from([0.0, 0.1, 0.25, 0.5]),
    subset=st.none() | st.integers(20, 30),
)
def test_parts_are_disjoint_cut_from_the_subset_and_balanced(
    classes: int, images: int, seed: int, fraction: float, subset: int | None
) -> None:
    # Every image is its own number, so that it can be recognised.
    pixels = np.arange(images, dtype=np.uint8).reshape(-1, 1, 1, 1)
    labels = np.arange(images, dtype=np.int64) % classes
    raw = RawData(pixels, labels, pixels, labels, tuple("abcde"[:classes]))
    ds = prepared(raw, DataSpec(source="made", split_seed=seed, val_fraction=fraction, subset=subset))
    train, val = (set(part.images.flatten().tolist()) for part in (ds.train, ds.val))
    assert not train & val
    assert len(train) + len(val) == (subset or images)
    assert len(val) == round((subset or images) * fraction)
    assert torch.equal(ds.val.labels, ds.val.images.flatten().long() % classes)
    together = torch.cat([ds.train.labels, ds.val.labels]).bincount(minlength=classes)
    assert together.max() - together.min() <= 1


SINGLE = augmentations.names()
COMBINED = ["crop_flip+mixup", "crop+trivial_augment+cutmix(0.3)", "trivial_augment+mixup_or_cutmix"]


@settings(max_examples=60)
@given(
    augment=st.sampled_from([*SINGLE, *COMBINED]),
    stream=st.integers(0, 2**40),
    epoch=st.integers(0, 300),
    order=st.permutations(range(9)),
    size=st.integers(1, 9),
)
def test_a_view_and_its_target_depend_neither_on_the_batch_nor_on_the_order(
    augment: str, stream: int, epoch: int, order: list[int], size: int
) -> None:
    pixels = torch.randint(
        0, 256, (9, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    split = Split(pixels, torch.arange(9) % 3)
    mean, std = torch.tensor([120.0, 99.3, 7.7]), torch.tensor([61.1, 3.3, 50.9])
    one, other = (
        Views(split, mean=mean, std=std, augment=augment, stream=stream, classes=3) for _ in range(2)
    )
    whole, targets = one.batch(epoch, torch.arange(9)), one.targets(epoch, torch.arange(9))
    for index in torch.tensor(order).split(size):
        other.batch(epoch + 1, index)
        assert torch.equal(other.batch(epoch, index), whole[index])
        assert torch.equal(other.targets(epoch, index), targets[index])
