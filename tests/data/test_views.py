"""Views of images, and images as an artifact."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pdsearch.data import RawData
from pdsearch.data.augmentations.crop import Crop, padding
from pdsearch.data.augmentations.mixing import Mixup
from pdsearch.data.dataset import split as splitting
from pdsearch.data.dataset.dataset import Split, from_tensors, store, to_meta
from pdsearch.data.dataset.views import Views, held_on_device, normalise
from pdsearch.errors import DataError
from pdsearch.specs import DataSpec, derive_seed
from tests.data.layouts import pixels
from tests.patient import PATIENCE_S

MEAN, STD = torch.tensor([100.0, 50.0]), torch.tensor([10.0, 20.0])


def images(count: int = 12, size: int = 8) -> Split:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 2, size, size), generator=generator, dtype=torch.uint8)
    return Split(pixels, torch.arange(count) % 3)


def views(augment: str, stream: int = 0, size: int = 8) -> Views:
    return Views(images(size=size), mean=MEAN, std=STD, augment=augment, stream=stream)


def test_normalise_uses_the_units_of_the_images() -> None:
    pixels = torch.full((1, 2, 1, 1), 110, dtype=torch.uint8)
    assert normalise(pixels, MEAN, STD).flatten().tolist() == [1.0, 3.0]


def test_unaugmented_views_are_the_images() -> None:
    split, seen = images(), views("none")
    assert seen.constant
    assert torch.equal(seen.batch(3, torch.tensor([2, 0])), normalise(split.images[[2, 0]], MEAN, STD))


@pytest.mark.parametrize(("size", "expected"), [(8, 1), (32, 4), (64, 8), (4, 1)])
def test_padding(size: int, expected: int) -> None:
    assert padding(size) == expected


@pytest.mark.parametrize("flip", [0, 1])
@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 1), (2, 0)])
def test_crop_against_slices(flip: int, down: int, right: int) -> None:
    pixels = images(1).images
    padded = torch.nn.functional.pad(pixels, [1] * 4)[:, :, down : down + 8, right : right + 8]
    expected = padded.flip(3) if flip else padded
    assert torch.equal(Crop(flip=True).apply(pixels, torch.tensor([[down, right, flip]])), expected)


def test_crop_draws_every_offset_and_no_flip() -> None:
    draws = Crop(flip=False).draw(500, 32, torch.Generator().manual_seed(0))
    assert set(draws[:, 0].tolist()) == set(draws[:, 1].tolist()) == set(range(9))
    assert set(draws[:, 2].tolist()) == {0}
    flipped = Crop(flip=True).draw(500, 32, torch.Generator().manual_seed(0))
    assert torch.equal(flipped[:, :2], draws[:, :2])
    assert 0.4 < flipped[:, 2].float().mean() < 0.6


def test_epochs_and_streams_differ() -> None:
    every = torch.arange(12)
    first = views("crop").batch(0, every)
    assert not torch.equal(first, views("crop").batch(1, every))
    assert not torch.equal(first, views("crop", stream=1).batch(0, every))


def mixed(augment: str, classes: int | None = 3) -> Views:
    return Views(images(), mean=MEAN, std=STD, augment=augment, stream=5, classes=classes)


def test_targets_of_single_images_are_their_labels() -> None:
    assert torch.equal(views("crop").targets(4, torch.tensor([3, 1])), images().labels[[3, 1]])


def test_both_images_of_a_mixed_view_are_changed_first_each_by_its_own_draw() -> None:
    every, seen = torch.arange(12), mixed("crop_flip+mixup")
    changed = Views(images(), mean=MEAN, std=STD, augment="crop_flip", stream=5).batch(2, every)
    draws = Mixup().draw(12, 8, torch.Generator().manual_seed(derive_seed(5, "views", 2, "mixup")))
    partner, share = draws[:, 0], draws[:, 1].float() / 2**24
    weight = share[:, None, None, None]
    assert torch.equal(seen.batch(2, every), changed * weight + changed[partner] * (1 - weight))
    expected = torch.zeros(12, 3)
    expected[every, images().labels] += share
    expected[every, images().labels[partner]] += 1 - share
    torch.testing.assert_close(seen.targets(2, every), expected)


def test_mixed_targets_need_the_number_of_classes() -> None:
    with pytest.raises(ValueError, match="number of classes"):
        mixed("mixup", classes=None).targets(0, torch.tensor([0]))


def test_a_second_change_does_not_repeat_the_draws_of_the_first() -> None:
    alone = Views(images(), mean=MEAN, std=STD, augment="crop", stream=5)
    assert not torch.equal(mixed("crop_flip+crop")._draws(0)[1][:, :2], alone._draws(0)[0][:, :2])


def test_images_stay_where_they_are_on_the_cpu() -> None:
    pixels = images().images
    assert held_on_device(pixels, "cpu").data_ptr() == pixels.data_ptr()


@pytest.mark.parametrize("augment", ["none", "crop_flip", "crop_flip+mixup"])
def test_the_views_of_a_small_set_are_made_at_once_with_the_same_bits(
    augment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, seen = torch.tensor([3, 0, 2]), mixed(augment)
    ready = [seen.batch(epoch, index) for epoch in (0, 1, 0)]
    monkeypatch.setattr("pdsearch.data.dataset.views.SMALL_BYTES", 0)
    assert all(torch.equal(mixed(augment).batch(e, index), ready[n]) for n, e in enumerate((0, 1, 0)))


SPEC = DataSpec(source="made", val_fraction=0.25, subset=40, split_seed=3)

PROGRAM = """
import json, re, sys
from pathlib import Path
import numpy as np
import torch
from safetensors.torch import load_file
from pdsearch.data import RawData
from pdsearch.data.dataset.dataset import from_tensors, store
from pdsearch.data.dataset.views import Views
from pdsearch.specs import DataSpec

class Made:
    shape = (1500, 3, 224, 224)
    def __len__(self):
        return 1500
    def __getitem__(self, index):
        return np.broadcast_to(index[:, None, None, None].astype(np.uint8), (len(index), *self.shape[1:]))

def held():
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

torch.set_num_threads(1)
file, labels = Path(sys.argv[1]), np.arange(1500) % 10
np.bincount(np.zeros(9, dtype=np.uint8))
before = peak()
store(RawData(Made(), labels, Made(), labels, tuple("0123456789")), DataSpec("made"), file)
written = peak() - before
before = held()
data = from_tensors(load_file(file), {"classes": list("0123456789")})
views = Views(data.train, mean=data.mean, std=data.std, augment="crop_flip", stream=0)
most = 0.0
for index in torch.randperm(len(views)).split(50):
    views.batch(0, index)
    most = max(most, held() - before)
print(json.dumps({"size": file.stat().st_size / 2**20, "written": written, "seen": most}))
"""


def made(images: int = 60) -> RawData:
    labels = np.arange(images, dtype=np.int64) % 4
    return RawData(pixels(images, 3, 6), labels, pixels(9, 3, 6), labels[:9], tuple("abcd"))


@pytest.mark.parametrize("chunk", [1, 3 * 36 * 7])
def test_the_bytes_do_not_depend_on_the_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    store(made(), SPEC, tmp_path / "one")
    monkeypatch.setattr(splitting, "CHUNK_BYTES", chunk)
    store(made(), SPEC, tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    again = from_tensors(load_file(tmp_path / "one"), to_meta(made().classes))
    assert (len(again.train), len(again.val), len(again.test)) == (30, 10, 9)


def test_no_validation_images_are_stored_as_none(tmp_path: Path) -> None:
    store(made(), DataSpec(source="made", val_fraction=0), tmp_path / "set")
    assert load_file(tmp_path / "set")["val.images"].shape == (0, 3, 6, 6)


def test_an_image_that_cannot_be_read_ends_it(tmp_path: Path) -> None:
    class Broken:
        shape = (60, 3, 6, 6)

        def __len__(self) -> int:
            return 60

        def __getitem__(self, index: object) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
            raise DataError(f"image {index} is broken")

    raw = made()
    broken = RawData(Broken(), raw.train_labels, raw.test_images, raw.test_labels, raw.classes)
    with pytest.raises(DataError, match="is broken"):
        store(broken, SPEC, tmp_path / "set")


def test_memory_stays_small_however_large_the_set(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "set")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    found = json.loads(done.stdout)
    assert found["size"] > 400  # MiB
    # Half of the set: the allocator keeps freed batches of 30 MiB, a different number of them every time.
    assert found["written"] < found["size"] / 2
    assert found["seen"] < found["size"] / 2
