"""Folders of images are read by class; what does not fit is named."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdsearch.data.registry import RawData, sources
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec
from tests.data.layouts import laid_out, pixels, png, whole


def add(root: Path, name: str, side: int = 8, channels: int = 3) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(pixels(1, channels, side)[0]))


def read(root: Path, test_fraction: float = 0.0, **options: object) -> RawData:
    spec = DataSpec(
        "image_folder",
        root=str(root),
        options=tuple(sorted(options.items())),
        test_fraction=test_fraction,
    )
    sources.get("image_folder").fingerprint(spec)
    return sources.get("image_folder").read(spec)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    laid_out("image_folder", tmp_path)
    return tmp_path


def test_classes_are_folders_in_order(root: Path) -> None:
    raw = read(root)
    assert raw.classes == ("cat", "dog")
    assert raw.train_labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(whole(raw.train_images), pixels(4, 3, 8)[[0, 2, 1, 3]])


def test_test_goes_before_val_and_another_may_be_named(root: Path) -> None:
    add(root, "test/cat/9.png")
    add(root, "held/dog/1.png")
    assert len(read(root).test_images) == 1
    assert read(root, test="held").test_labels.tolist() == [1]
    assert len(read(root, test="val").test_images) == 4


def test_images_of_all_sizes_need_an_image_size(root: Path) -> None:
    add(root, "train/cat/large.png", side=20)
    with pytest.raises(DataError, match=r"large\.png: the image is 20x20, the first one 8x8"):
        whole(read(root).train_images)
    raw = read(root, image_size=6)
    assert raw.train_images.shape == (5, 3, 6, 6)
    assert whole(raw.train_images).shape == (5, 3, 6, 6)


def test_hidden_files_are_left_out_and_others_noted(root: Path) -> None:
    assert read(root).notes == ()
    for name in (
        "train/cat/.hidden.png",
        "train/.folder/1.png",
        "train/cat/notes.txt",
        "train/all.csv",
        "val/dog/x/1.png",
    ):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"nothing")
    raw = read(root)
    assert len(raw.train_images) == 4
    assert raw.notes == (
        "left out, for they are no images: train/all.csv, train/cat/notes.txt",
        "left out, for images lie in a class's folder itself, not in folders inside it: val/dog/x",
    )


def test_images_of_other_formats_are_read(root: Path) -> None:
    for suffix in ("tif", "TIFF", "gif", "ppm", "bmp", "webp"):
        Image.fromarray(pixels(1, 3, 8)[0].transpose(1, 2, 0)).save(root / "train/cat" / f"more.{suffix}")
    assert len(whole(read(root).train_images)) == 10


def test_pages_that_are_not_read_are_noted(root: Path) -> None:
    pages = [Image.fromarray(pixels(1, 3, 8)[0].transpose(1, 2, 0)) for _ in range(2)]
    for name in ("a.tif", "b.gif"):
        pages[0].save(root / "train/cat" / name, save_all=True, append_images=[pages[1].rotate(90)])
        first, *others = read(root).notes
        assert "several pages or frames, of which the first is read" in first
        assert f"train/cat/{name}" in first or "2 files have" in first
        assert not others


def test_an_empty_folder_is_a_class_without_an_image(root: Path) -> None:
    before = sources.get("image_folder").fingerprint(DataSpec("image_folder", root=str(root)))
    (root / "train/owl").mkdir()
    assert read(root).classes == ("cat", "dog", "owl")
    assert sources.get("image_folder").fingerprint(DataSpec("image_folder", root=str(root))) != before
    for path in (root / "val/cat").iterdir():
        path.unlink()
    assert read(root).test_labels.tolist() == [1, 1]


def test_where_there_is_no_test_part_it_is_cut_off_if_that_is_asked_for(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"^data\.test_fraction: the set has test images of its own"):
        read(root, test_fraction=0.5)
    (root / "val").rename(root / "train/owl")
    shutil.rmtree(root / "train/owl")
    with pytest.raises(DataError, match=r"no test images\n.*ROOT/test/CLASS.*, or set data\.test_fraction"):
        read(root)
    raw = read(root, test_fraction=0.5)
    assert (len(raw.train_images), raw.test_images.shape) == (4, (0, 3, 8, 8))
    assert read(root / "train", test_fraction=0.5).classes == ("cat", "dog")


def test_a_part_that_is_passed_over_is_noted(root: Path) -> None:
    add(root, "test/cat/9.png")
    assert read(root).notes == ("not read: val (validation images are cut from the training images)",)
    (root / "val").rename(root / "valid")
    shutil.rmtree(root / "test")
    (root / "train").rename(root / "Train")
    with pytest.raises(DataError, match=r"expected ROOT/train.*; it holds Train, valid"):
        read(root)
    (root / "Train").rename(root / "train")
    with pytest.raises(DataError, match=r"data\.options\.test names another folder \(valid\)"):
        read(root)


def test_the_fingerprint_of_images_that_are_stored_upright_is_what_it_was(root: Path) -> None:
    """Keys of stored artifacts hold it; only sets that were decoded otherwise have another one."""
    spec = DataSpec("image_folder", root=str(root))
    before = _hash_before(root)
    assert sources.get("image_folder").fingerprint(spec) == before.hexdigest()
    path, exif = root / "train/cat/0.png", Image.Exif()
    exif[0x0112] = 3
    Image.open(path).save(path, exif=exif)
    after = _hash_before(root)
    after.update(b"|upright")
    assert sources.get("image_folder").fingerprint(spec) == after.hexdigest()


def _hash_before(root: Path) -> "hashlib._Hash":
    content = hashlib.sha256()
    for part in ("train", "val"):
        content.update(b"|4")
        for path in sorted((root / part).glob("*/*")):
            content.update(f"|{path.relative_to(root).as_posix()}|{path.parent.name}|".encode())
            content.update(hashlib.sha256(path.read_bytes()).digest())
    return content


def test_the_fingerprint_knows_names_and_classes(root: Path) -> None:
    source, spec = sources.get("image_folder"), DataSpec("image_folder", root=str(root))
    before = source.fingerprint(spec)
    (root / "train/cat/0.png").rename(root / "train/dog/0.png")
    assert source.fingerprint(spec) != before


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("val/owl/1.png", "no training image is of the class owl"),
        ("train/empty/notes.txt", r"train/empty: no image"),
        ("train/dog/\udcff.png", r"train/dog: the name b'\\xff\.png' is not UTF-8\n  -> rename it"),
        ("train/\udcff/1.png", r"train: the name b'\\xff' is not UTF-8"),
    ],
)
def test_what_does_not_fit_is_named(root: Path, name: str, why: str) -> None:
    add(root, name)
    with pytest.raises(DataError, match=why):
        read(root)


def test_a_folder_without_folders(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="expected ROOT/train/CLASS/IMAGE"):
        read(tmp_path)


@pytest.mark.parametrize("size", [0, True, 1.5, "8", 5000])
def test_an_image_size_is_a_number_of_pixels(root: Path, size: object) -> None:
    with pytest.raises(ConfigError, match="image_size"):
        read(root, image_size=size)
