"""Every registered source and augmentation keeps the contract, found by itself."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from pdsearch.data import Split, Views
from pdsearch.data.registry import Mixing, augmentations, sources
from pdsearch.specs import DataSpec

STORED = sorted(set(sources) - {"digits"})
"""Sources that read a folder; a new one of another layout needs its files written here."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split in ("train", "test"):
        stream = io.BytesIO()
        Image.new("RGB", (8, 8), (1, 2, 3)).save(stream, format="PNG")
        image = pa.array([{"bytes": stream.getvalue(), "path": None}] * 4)
        pq.write_table(pa.table({"img": image, "label": [0, 1, 0, 1]}), tmp_path / f"{split}.parquet")
    return tmp_path


@pytest.mark.parametrize("name", sources.names())
def test_sources_return_what_they_promise(name: str, root: Path) -> None:
    spec = DataSpec(source=name, root=str(root) if name in STORED else None)
    raw = sources.get(name).read(spec)
    for images, labels in ((raw.train_images, raw.train_labels), (raw.test_images, raw.test_labels)):
        assert images.dtype == np.uint8
        assert labels.dtype == np.int64
        assert images.ndim == 4
        assert images.shape[0] == len(labels) > 0
        assert images.shape[2] == images.shape[3]
        assert labels.min() >= 0
        assert labels.max() < len(raw.classes)
    assert raw.train_images.shape[1:] == raw.test_images.shape[1:]


@pytest.mark.parametrize("name", sources.names())
def test_fingerprints_are_of_the_content_alone(name: str, root: Path) -> None:
    spec = DataSpec(source=name, root=str(root) if name in STORED else None)
    other = DataSpec(source=name, root=spec.root, split_seed=4, augment="crop", subset=2, val_fraction=0.5)
    found = sources.get(name).fingerprint(spec)
    assert len(bytes.fromhex(found)) == 32
    assert sources.get(name).fingerprint(other) == found


def images_of(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", augmentations.names())
def test_augmentations_draw_a_row_of_whole_numbers_per_image_from_their_generator(name: str) -> None:
    before = torch.random.get_rng_state()
    one, other = (augmentations.get(name).draw(5, 8, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, other)
    assert (len(one), one.dtype) == (5, torch.int64)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", augmentations.names())
def test_augmentations_keep_shape_and_type_and_leave_the_images_alone(name: str) -> None:
    augmentation, images = augmentations.get(name), images_of(40)
    draws, kept = augmentation.draw(40, 8, torch.Generator().manual_seed(1)), images.clone()
    if isinstance(augmentation, Mixing):
        assert ((draws[:, 0] >= 0) & (draws[:, 0] < 40)).all()
        share = augmentation.share(draws, 8)
        assert (share.shape, share.dtype) == ((40,), torch.float32)
        assert ((share >= 0) & (share <= 1)).all()
        floats = images.float()
        view = augmentation.apply(floats, floats[draws[:, 0]], draws)
        assert (view.shape, view.dtype) == (images.shape, torch.float32)
        assert torch.equal(floats, kept.float())
    else:
        view = augmentation.apply(images, draws)
        assert (view.shape, view.dtype) == (images.shape, torch.uint8)
        assert augmentation.constant == torch.equal(view, images)
    assert torch.equal(images, kept)


@pytest.mark.parametrize("name", augmentations.names())
@pytest.mark.parametrize("after", ["", "crop_flip"])
def test_views_of_every_augmentation_and_their_targets_agree(name: str, after: str) -> None:
    if after in (name, *(["crop_flip"] if name == "none" else [])):
        after = ""
    split = Split(images_of(12), torch.arange(12) % 4)
    augment = f"{after}+{name}".removeprefix("+")
    one, other = (
        Views(split, mean=torch.zeros(3), std=torch.ones(3), augment=augment, stream=3, classes=4)
        for _ in range(2)
    )
    every = torch.arange(12)
    assert torch.equal(one.batch(1, every), other.batch(1, every))
    targets = one.targets(1, every)
    shown = targets if targets.dim() == 2 else torch.nn.functional.one_hot(targets, 4).float()
    assert (shown.shape, shown.dtype) == ((12, 4), torch.float32)
    torch.testing.assert_close(shown.sum(dim=1), torch.ones(12))
    assert one.constant == (torch.equal(one.batch(0, every), one.batch(1, every)))
