"""Encoded images are decoded when they are asked for, and agree on their shape before."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdsearch.data.readers.decode import Encoded
from pdsearch.data.readers.encoded import Fetch, any_turned, files_read, pair
from pdsearch.errors import DataError
from tests.data.layouts import pixels, png, whole

COLOUR, GREY = pixels(5, 3, 8), pixels(5, 1, 8)


def fetching(*images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> tuple[Fetch, int]:
    def fetch(index: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> list[Encoded]:
        return [(png(images[i]), f"image {i}") for i in index.tolist()]

    return fetch, len(images)


def test_some_are_decoded() -> None:
    train, test = pair(fetching(*COLOUR), fetching(*COLOUR[:2]), side=None)
    assert (train.shape, test.shape) == ((5, 3, 8, 8), (2, 3, 8, 8))
    assert np.array_equal(train[np.array([4, 1])], COLOUR[[4, 1]])
    assert np.array_equal(whole(test), COLOUR[:2])


def test_grey_only_if_every_image_of_both_is() -> None:
    assert pair(fetching(*GREY), fetching(*GREY), side=None)[0].grey
    train, _ = pair(fetching(*GREY), fetching(*GREY[:3], COLOUR[0]), side=None)
    assert train.shape == (5, 3, 8, 8)


def test_training_and_test_images_are_of_one_size() -> None:
    with pytest.raises(DataError, match="differ in size: 8x8 and 6x6"):
        pair(fetching(*COLOUR), fetching(*pixels(1, 3, 6)), side=None)
    assert pair(fetching(*COLOUR), fetching(*pixels(1, 3, 6)), side=4)[1].shape == (1, 3, 4, 4)


def test_images_need_not_be_square() -> None:
    wide = np.ascontiguousarray(COLOUR[..., :6, :])
    train, test = pair(fetching(*wide), fetching(*wide[:2]), side=None)
    assert (train.shape, whole(test).shape) == ((5, 3, 6, 8), (2, 3, 6, 8))


@pytest.mark.parametrize("broken", [b"", b"no image", png(COLOUR[0])[:-40], png(pixels(1, 3, 6)[0])])
def test_all_broken_images_are_listed_at_once(broken: bytes) -> None:
    def damaged(index: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> list[Encoded]:
        return [(png(COLOUR[0]) if i % 3 else broken, f"image {i}") for i in index.tolist()]

    message = r"^3 of 9 images cannot be used:\n    image 3: .*\n    image 6: .*\n    image 9: .*\n  -> "
    with pytest.raises(DataError, match=message):
        whole(pair((lambda i: damaged(i + 1), 7), (lambda i: damaged(i + 8), 2), side=None)[0])


def test_files_are_read_when_asked_for(tmp_path: Path) -> None:
    fetch = files_read([tmp_path / "a", tmp_path / "b"])
    (tmp_path / "b").write_bytes(b"content")
    assert fetch(np.array([1])) == [(b"content", str(tmp_path / "b"))]
    with pytest.raises(DataError, match="a: cannot be read: No such file"):
        fetch(np.array([0]))


def test_whether_one_image_is_stored_turned() -> None:
    turned, stream, exif = fetching(*COLOUR), io.BytesIO(), Image.Exif()
    assert not any_turned(turned)
    exif[0x0112] = 3
    Image.new("L", (8, 8)).save(stream, format="PNG", exif=exif)
    last: tuple[Fetch, int] = (lambda _: [(stream.getvalue(), "last")], 1)
    assert any_turned(turned, last)
