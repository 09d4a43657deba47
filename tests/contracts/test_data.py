"""Every registered source and augmentation keeps the contract, found by itself."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from pdsearch.data.registry import augmentations, sources
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


@pytest.mark.parametrize("name", augmentations.names())
def test_augmentations_keep_shape_and_type_and_draw_from_their_generator(name: str) -> None:
    augmentation = augmentations.get(name)
    images = torch.randint(
        0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    before, kept = torch.random.get_rng_state(), images.clone()
    draws = [augmentation.draw(5, 8, torch.Generator().manual_seed(1)) for _ in range(2)]
    view = augmentation.apply(images, draws[0])
    assert torch.equal(draws[0], draws[1])
    assert len(draws[0]) == 5
    assert (view.shape, view.dtype) == (images.shape, torch.uint8)
    assert torch.equal(images, kept)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert augmentation.constant == torch.equal(view, images)
