"""Every registered source and augmentation keeps the contract, found by itself."""

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pdsearch.data.dataset.dataset import Split, store
from pdsearch.data.dataset.split import parts
from pdsearch.data.dataset.views import Views
from pdsearch.data.readers.arrays import checked
from pdsearch.data.registry import Cropping, Mixing, augmentations, sources
from pdsearch.data.sources.cifar import Cifar
from pdsearch.data.sources.idx import Idx
from pdsearch.data.sources.stl10 import Stl10
from pdsearch.data.sources.svhn import Svhn
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec
from tests.data.layouts import LAYOUTS, laid_out, whole


def test_every_source_has_a_set_to_be_tested_with() -> None:
    assert set(LAYOUTS) == set(sources), "write a small set of the layout in tests/data/layouts.py"


@pytest.mark.parametrize("name", sources.names())
def test_sources_return_what_they_promise(name: str, tmp_path: Path) -> None:
    spec = laid_out(name, tmp_path)
    found = sources.get(name).fingerprint(spec)
    assert len(bytes.fromhex(found)) == 32
    other = replace(spec, split_seed=4, augment="crop", subset=2, val_fraction=0.5)
    assert sources.get(name).fingerprint(other) == found
    raw = sources.get(name).read(spec)
    assert checked(raw, name) is raw
    for images, labels in ((raw.train_images, raw.train_labels), (raw.test_images, raw.test_labels)):
        every = whole(images)
        assert every.dtype == np.uint8
        assert every.shape == tuple(images.shape)
        assert len(images) == len(labels) > 0
        some = np.array([len(images) - 1, 0])
        assert np.array_equal(images[some], every[some])
    assert len(set(raw.classes)) == len(raw.classes)
    store(raw, split := DataSpec(source=name, val_fraction=0.5), tmp_path / "stored")
    stored = load_file(tmp_path / "stored")
    for part, wanted in parts(raw, split).items():
        assert np.array_equal(stored[f"{part}.images"], wanted.images[wanted.index])
        assert np.array_equal(stored[f"{part}.labels"], wanted.labels)


@pytest.mark.parametrize("name", sources.names())
def test_a_source_knows_its_options_and_one_that_downloads_that_to_leave_it(
    name: str, tmp_path: Path
) -> None:
    spec = laid_out(name, tmp_path)
    told = replace(spec, options=(*spec.options, ("download", "perhaps")))
    unknown = "no option 'download'|argument 'download'"
    refusal = "download is 'perhaps'" if "download" in sources.get(name).options.types else unknown
    with pytest.raises((ConfigError, DataError), match=refusal):
        sources.get(name).read(told)
    with pytest.raises((ConfigError, DataError), match="colour"):
        sources.get(name).fingerprint(replace(spec, options=(*spec.options, ("colour", "red"))))


@pytest.mark.parametrize("name", sources.names())
def test_a_source_takes_every_option_that_it_declares(name: str, tmp_path: Path) -> None:
    source, spec = sources.get(name), laid_out(name, tmp_path)
    right = {bool: False, int: 8, str: "other"}
    for option, annotation in source.options.types.items():
        given = {option: right.get(annotation, 3), **dict(spec.options)}
        said = ""
        try:
            source.read(replace(spec, options=tuple(given.items())))
        except (ConfigError, DataError) as error:
            said = error.what
        assert "option" not in said


@pytest.mark.parametrize("name", sorted(set(sources) - {"digits", "callable"}))
def test_a_changed_byte_of_an_image_is_another_set(name: str, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    one, other = laid_out(name, tmp_path / "one"), laid_out(name, tmp_path / "other")
    assert sources.get(name).fingerprint(one) == sources.get(name).fingerprint(other)
    largest = max((p for p in (tmp_path / "other").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    with suppress(DataError):  # The change may break what it lies in, which is then seen.
        assert sources.get(name).fingerprint(other) != sources.get(name).fingerprint(one)


@pytest.mark.parametrize("name", sorted(set(sources) - {"digits", "callable"}))
def test_a_missing_set_is_one_clear_message(name: str, tmp_path: Path) -> None:
    options = (("download", False),) if isinstance(sources.get(name), Cifar | Idx | Svhn | Stl10) else ()
    with pytest.raises(DataError) as caught:
        sources.get(name).fingerprint(DataSpec(source=name, root=str(tmp_path / "nothing"), options=options))
    assert str(tmp_path / "nothing") in str(caught.value)
    assert caught.value.hint
    with pytest.raises(ConfigError, match="folder"):
        sources.get(name).fingerprint(DataSpec(source=name))


def opened(name: str, spec: DataSpec, target: Path) -> None:
    """Do with a set what the opening of a study does."""
    sources.get(name).fingerprint(spec)
    store(sources.get(name).read(spec), replace(spec, val_fraction=0.5), target)


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("name", sorted(set(sources) - {"digits", "callable"}))
def test_a_set_that_is_cut_off_is_one_clear_message_before_anything_is_stored(
    name: str, share: float, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    spec = laid_out(name, tmp_path / "set")
    largest = max((p for p in (tmp_path / "set").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = largest.read_bytes()
    largest.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError) as caught:
        opened(name, spec, tmp_path / "stored")
    assert largest.name in str(caught.value)
    assert "\n" not in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize("name", sorted(set(sources) - {"digits", "callable"}))
def test_what_is_no_regular_file_is_refused_and_not_waited_for(name: str, tmp_path: Path) -> None:
    spec = laid_out(name, tmp_path)
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.unlink()
        os.mkfifo(path)
    with pytest.raises(DataError, match="FIFO"):
        opened(name, spec, tmp_path / "stored")


def test_fingerprints_load_no_torch(tmp_path: Path) -> None:
    specs = []
    for name in sources:
        (tmp_path / name).mkdir()
        specs.append(laid_out(name, tmp_path / name))
    # Its function is a test's, and that loads torch.
    shown = [(spec.source, spec.root, spec.options) for spec in specs if spec.source != "callable"]
    program = f"""
import sys
from pdsearch.data.registry import sources
from pdsearch.specs import DataSpec
for name, root, options in {shown!r}:
    sources.get(name).fingerprint(DataSpec(source=name, root=root, options=options))
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


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
    order = [name, after] if isinstance(augmentations.get(name), Cropping) else [after, name]
    augment = "+".join(part for part in order if part)
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
