"""Folders are listed in order, hidden things left out, and hashed with names, classes and content."""

from pathlib import Path

import pytest

from pdsearch.data.readers.labelled_files import LabelledFiles, as_set, folders_in, hash_of, images_in
from pdsearch.errors import DataError
from tests.data.layouts import pixels, png


@pytest.fixture
def files(tmp_path: Path) -> LabelledFiles:
    for name, image in zip("ab", pixels(2, 3, 8), strict=True):
        (tmp_path / f"{name}.png").write_bytes(png(image))
    return LabelledFiles((tmp_path / "a.png", tmp_path / "b.png"), ("dog", "cat"))


def test_listings_are_sorted_and_complete(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).mkdir()
    for name in ("2.JPG", "1.png", ".3.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in folders_in(tmp_path, "hint")] == ["a", "b"]
    assert [path.name for path in images_in(tmp_path, "hint")] == ["1.png", "2.JPG"]
    for listed in (folders_in, images_in):
        with pytest.raises(DataError, match="hint"):
            listed(tmp_path / "a", "hint")
        with pytest.raises(DataError, match="no readable folder"):
            listed(tmp_path / "missing", "hint")


def test_labels_follow_the_order_of_the_classes(files: LabelledFiles) -> None:
    raw = as_set(files, files, ["cat", "dog"], None)
    assert raw.train_labels.tolist() == [1, 0]
    assert raw.classes == ("cat", "dog")


def test_the_hash_knows_content_class_part_and_place(files: LabelledFiles, tmp_path: Path) -> None:
    turned = LabelledFiles(files.files, files.classes[::-1])
    halves = [LabelledFiles(files.files[i : i + 1], files.classes[i : i + 1]) for i in (0, 1)]
    found = [hash_of(tmp_path, parts) for parts in ([files], [turned], halves, [files, files])]
    (tmp_path / "a.png").write_bytes(b"other")
    found.append(hash_of(tmp_path, [files]))
    assert len(set(found)) == len(found)
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        hash_of(tmp_path, [files])
