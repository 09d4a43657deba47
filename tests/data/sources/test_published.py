"""Published data sets, and the embedded digits."""

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from pdsearch.data.readers.download import PublishedFile
from pdsearch.data.registry import sources
from pdsearch.data.sources.cifar import Cifar
from pdsearch.data.sources.idx import FILES, Idx
from pdsearch.errors import DataError
from pdsearch.specs import DataSpec
from tests.data.layouts import idx, laid_out, pixels, tar, whole


def test_cifar10_has_its_batches_in_order(tmp_path: Path) -> None:
    raw = sources.get("cifar10").read(laid_out("cifar10", tmp_path))
    assert np.array_equal(whole(raw.train_images), np.tile(pixels(3, 3, 32), (5, 1, 1, 1)))
    assert raw.train_labels.tolist() == [0, 2, 1] * 5
    assert raw.classes == ("cat", "dog", "owl")
    assert raw.notes == ("the set is not whole: as published it has 50,000 training and 10,000 test images",)


def test_cifar100_has_its_fine_labels(tmp_path: Path) -> None:
    raw = sources.get("cifar100").read(laid_out("cifar100", tmp_path))
    assert np.array_equal(whole(raw.test_images), pixels(3, 3, 32))
    assert raw.test_labels.tolist() == [0, 2, 1]


def test_svhn_has_a_zero_for_ten(tmp_path: Path) -> None:
    raw = sources.get("svhn").read(laid_out("svhn", tmp_path))
    assert raw.train_labels.tolist() == [0, 1, 9]
    assert np.array_equal(whole(raw.train_images), pixels(3, 3, 32))


def test_stl10_is_turned_upright(tmp_path: Path) -> None:
    raw = sources.get("stl10").read(laid_out("stl10", tmp_path))
    assert np.array_equal(whole(raw.train_images), pixels(2, 3, 96))
    assert raw.train_labels.tolist() == [9, 0]


def test_idx_files_may_be_unpacked_and_are_the_same_set(tmp_path: Path) -> None:
    spec, source = laid_out("mnist", tmp_path), sources.get("mnist")
    before = source.fingerprint(spec)
    assert np.array_equal(whole(source.read(spec).train_images), pixels(4, 1, 28))
    for path in (tmp_path / "MNIST" / "raw").iterdir():
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert source.fingerprint(spec) == before


def test_sets_of_one_format_do_not_mix_in_one_root(tmp_path: Path) -> None:
    laid_out("mnist", tmp_path)
    with pytest.raises(DataError, match="FashionMNIST"):
        sources.get("fashion_mnist").read(
            DataSpec("fashion_mnist", root=str(tmp_path), options=(("download", False),))
        )


@pytest.mark.parametrize("content", [b"", b"\0\0\x08\x01\0\0\0\x09abc", idx(pixels(4, 1, 28)), b"\0" * 40])
def test_what_is_no_idx_file_of_its_kind_is_named(tmp_path: Path, content: bytes) -> None:
    spec = laid_out("mnist", tmp_path)
    (tmp_path / "MNIST" / "raw" / FILES[1]).write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match="train-labels"):
        sources.get("mnist").read(spec)


def test_images_and_labels_have_to_be_as_many(tmp_path: Path) -> None:
    spec = laid_out("mnist", tmp_path)
    (tmp_path / "MNIST" / "raw" / FILES[1]).write_bytes(gzip.compress(idx(np.zeros(3, np.uint8))))
    with pytest.raises(DataError, match="labels do not fit 4 images"):
        sources.get("mnist").read(spec)


def cifar(root: Path, classes: bytes = b"cat\n", **batches: bytes) -> DataSpec:
    """Write images of the first class, and other batches by name."""
    source = sources.get("cifar10")
    assert isinstance(source, Cifar)
    files = {f"{source.folder}/{name}": bytes(3073) for name in (*source.train, *source.test)}
    files |= {f"{source.folder}/{name}.bin": content for name, content in batches.items()}
    tar(root / source.archive.name, {**files, f"{source.folder}/batches.meta.txt": classes})
    return DataSpec("cifar10", root=str(root))


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        (bytes(3074), "3074 bytes are no whole number of images"),
        (b"\x01" + bytes(3072), r"label 1 of 1 classes, by batches\.meta\.txt"),
    ],
)
def test_what_is_no_batch_of_cifar_is_named(batch: bytes, why: str, tmp_path: Path) -> None:
    spec = cifar(tmp_path, data_batch_3=batch)
    with pytest.raises(DataError, match=rf"data_batch_3\.bin: {why}"):
        sources.get("cifar10").fingerprint(spec), sources.get("cifar10").read(spec)


def test_names_of_cifar_in_another_order_are_noted(tmp_path: Path) -> None:
    *_, note = sources.get("cifar10").read(cifar(tmp_path, b"dog\ncat\n")).notes
    assert note.startswith("batches.meta.txt lists the classes in another order than the published one")


@pytest.mark.parametrize(
    "content",
    [
        {"X": pixels(3, 3, 32)},
        {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": [[1], [11]]},
        {"X": [1.0], "y": [1]},
    ],
)
def test_what_is_no_svhn_file_is_named(tmp_path: Path, content: dict[str, object]) -> None:
    spec = laid_out("svhn", tmp_path)
    savemat(tmp_path / "train_32x32.mat", content)
    with pytest.raises(DataError, match=r"train_32x32\.mat"):
        sources.get("svhn").read(spec)
    (tmp_path / "train_32x32.mat").write_bytes(b"no MATLAB file at all")
    with pytest.raises(DataError, match="no readable MATLAB file"):
        sources.get("svhn").read(spec)


def test_stl10_files_have_to_fit(tmp_path: Path) -> None:
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    for name in ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"):
        (folder / name).write_bytes(b"\1" * 100)
    with pytest.raises(DataError, match="100 labels do not fit 100 bytes"):
        sources.get("stl10").read(DataSpec("stl10", root=str(tmp_path)))


def test_published_hashes_are_whole() -> None:
    remotes = [
        value
        for name in sources
        for value in vars(sources.get(name)).values()
        if isinstance(value, PublishedFile)
    ]
    hashes = [remote.sha256 for remote in remotes]
    for name in sources:
        source = sources.get(name)
        hashes += source.sha256 if isinstance(source, Idx) else ()
    assert len(hashes) == len(set(hashes)) == 17
    assert all(len(bytes.fromhex(found)) == hashlib.sha256().digest_size for found in hashes)


SPEC = DataSpec(source="digits")


def test_sizes_and_values() -> None:
    raw = sources.get("digits").read(SPEC)
    assert raw.train_images.shape == (1347, 1, 8, 8)
    assert raw.test_images.shape == (450, 1, 8, 8)
    assert whole(raw.train_images).max() == 16
    assert np.bincount(raw.test_labels).tolist() == [45] * 10


def test_the_fingerprint_never_changes() -> None:
    found = sources.get("digits").fingerprint(SPEC)
    assert found == "d2492a3fb3f7f2305d03f303836c9ba49be8a7d83555288eb475cd7b506cd508"


def test_they_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = sources.get("digits").read(SPEC)
    monkeypatch.setattr("pdsearch.data.sources.digits._file", lambda: None)
    theirs = sources.get("digits").read(SPEC)
    assert np.array_equal(whole(ours.train_images), whole(theirs.train_images))
    assert np.array_equal(whole(ours.test_images), whole(theirs.test_images))
    assert np.array_equal(ours.train_labels, theirs.train_labels)


def test_scikit_learn_itself_is_not_loaded() -> None:
    code = (
        "import sys; from pdsearch.data.registry import sources; from pdsearch.specs import DataSpec;"
        "sources.get('digits').read(DataSpec(source='digits')); assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


SOURCE = sources.get("tiny_imagenet")


def test_labels_of_val_are_those_of_the_list(tmp_path: Path) -> None:
    raw = SOURCE.read(laid_out("tiny_imagenet", tmp_path))
    assert raw.classes == ("n01", "n02")
    assert raw.test_labels.tolist() == [0, 1, 0, 1]
    assert np.array_equal(whole(raw.test_images), pixels(4, 3, 8))


def test_the_folder_above_will_do(tmp_path: Path) -> None:
    inner = tmp_path / "tiny-imagenet-200"
    inner.mkdir()
    spec = laid_out("tiny_imagenet", inner)
    assert SOURCE.fingerprint(spec) == SOURCE.fingerprint(DataSpec("tiny_imagenet", root=str(tmp_path)))


@pytest.mark.parametrize("row", ["9.png", "9.png\tn99", "../../secret.png\tn01"])
def test_a_wrong_row_is_named(tmp_path: Path, row: str) -> None:
    spec = laid_out("tiny_imagenet", tmp_path)
    with (tmp_path / "val" / "val_annotations.txt").open("a") as listing:
        listing.write(f"{row}\n")
    with pytest.raises(DataError, match=r"val_annotations\.txt, line 5"):
        SOURCE.fingerprint(spec)


def test_an_image_of_the_list_has_to_be_there(tmp_path: Path) -> None:
    spec = laid_out("tiny_imagenet", tmp_path)
    (tmp_path / "val" / "images" / "2.png").unlink()
    with pytest.raises(DataError, match=r"images/2\.png: cannot be read"):
        SOURCE.fingerprint(spec)


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_list(tmp_path: Path, content: str) -> None:
    spec = laid_out("tiny_imagenet", tmp_path)
    (tmp_path / "val" / "val_annotations.txt").write_text(content)
    with pytest.raises(DataError, match="the list is empty"):
        SOURCE.fingerprint(spec)
