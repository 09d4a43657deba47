"""A set is written a few images at a time, and read from the file: neither needs the memory that the set would."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pdsearch.data import RawData, from_tensors, prepare, store, to_meta, to_tensors
from pdsearch.data.dataset import split as splitting
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec
from tests.data.layouts import pixels
from tests.patient import PATIENCE_S

SPEC = DataSpec(source="made", val_fraction=0.25, subset=40, split_seed=3)

PROGRAM = """
import json, re, sys
from pathlib import Path
import numpy as np
import torch
from safetensors.torch import load_file
from pdsearch.data import RawData, Views, from_tensors, store
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


@pytest.mark.parametrize("chunk", [1, 3 * 36 * 7, 2**24])
def test_the_file_is_what_safetensors_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(splitting, "CHUNK_BYTES", chunk)
    store(made(), SPEC, tmp_path / "set")
    stored, held = load_file(tmp_path / "set"), to_tensors(prepare(made(), SPEC))
    assert stored.keys() == held.keys()
    for name, tensor in held.items():
        assert stored[name].dtype == tensor.dtype
        assert torch.equal(stored[name], tensor)
    again = from_tensors(stored, to_meta(made().classes))
    assert (len(again.train), len(again.val), len(again.test)) == (30, 10, 9)


def test_the_bytes_do_not_depend_on_the_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(made(), SPEC, tmp_path / "one")
    monkeypatch.setattr(splitting, "CHUNK_BYTES", 500)
    store(made(), SPEC, tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_no_validation_images_are_stored_as_none(tmp_path: Path) -> None:
    store(made(), DataSpec(source="made", val_fraction=0), tmp_path / "set")
    assert load_file(tmp_path / "set")["val.images"].shape == (0, 3, 6, 6)


def test_a_split_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="subset 99"):
        store(made(), DataSpec(source="made", subset=99), tmp_path / "set")


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
