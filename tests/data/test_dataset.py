"""A prepared set has the right parts, statistics and way through safetensors."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from pdsearch.data import Dataset, from_tensors, prepare, to_meta, to_tensors
from pdsearch.data.registry import RawData
from pdsearch.specs import DataSpec
from tests.data.layouts import whole

SPEC = DataSpec(source="made", val_fraction=0.25)


def made(images: int = 80, classes: int = 4, size: int = 6) -> RawData:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images + 20, 3, size, size), dtype=np.uint8)
    labels = np.arange(images + 20, dtype=np.int64) % classes
    names = tuple("abcdefgh"[:classes])
    return RawData(pixels[:images], labels[:images], pixels[images:], labels[images:], names)


@pytest.fixture
def ds() -> Dataset:
    return prepare(made(), SPEC)


def test_parts_and_shape(ds: Dataset) -> None:
    assert (len(ds.train), len(ds.val), len(ds.test)) == (60, 20, 20)
    assert (str(ds.inputs), ds.num_classes) == ("uint8 (3, 6, 6)", 4)


def test_statistics_are_those_of_the_training_part_alone(ds: Dataset) -> None:
    images = ds.train.images.double()
    torch.testing.assert_close(ds.mean, images.mean((0, 2, 3)).float())
    torch.testing.assert_close(ds.std, images.std((0, 2, 3), correction=0).float())
    assert ds.mean.dtype == ds.std.dtype == torch.float32


def test_a_constant_channel_has_std_one() -> None:
    raw = made()
    images = whole(raw.train_images)
    images[:, 1] = 7
    assert prepare(replace(raw, train_images=images), SPEC).std[1] == 1


def test_the_test_part_depends_on_nothing_in_the_spec(ds: Dataset) -> None:
    other = prepare(made(), replace(SPEC, split_seed=9, subset=40, val_fraction=0.5))
    assert torch.equal(ds.test.images, other.test.images)


def test_the_split_seed_changes_the_cut(ds: Dataset) -> None:
    other = prepare(made(), replace(SPEC, split_seed=1))
    assert not torch.equal(ds.val.images, other.val.images)


def test_round_trip_through_safetensors(ds: Dataset) -> None:
    again = from_tensors(load(save(to_tensors(ds))), to_meta(ds.classes))
    assert again.classes == ds.classes
    for name, tensor in to_tensors(ds).items():
        assert torch.equal(to_tensors(again)[name], tensor)


def test_meta_is_plain(ds: Dataset) -> None:
    assert cast("list[str]", to_meta(ds.classes)["classes"]) == ["a", "b", "c", "d"]
