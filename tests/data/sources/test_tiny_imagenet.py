"""Tiny-ImageNet's training folders and its list of validation images."""

from pathlib import Path

import numpy as np
import pytest

from pdsearch.data.registry import sources
from pdsearch.errors import DataError
from pdsearch.specs import DataSpec
from tests.data.layouts import laid_out, pixels, whole

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
