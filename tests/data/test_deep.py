"""Images of more than 8 bits become 8 bits by one scale for the whole set."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pdsearch.data.readers.decode import Encoded, decode
from pdsearch.data.readers.deep import Largest
from pdsearch.data.readers.encoded import pair
from pdsearch.errors import DataError


def saved(values: Any, kind: Any, suffix: str = "PNG") -> bytes:
    """A 2x2 image of these values."""
    stream = io.BytesIO()
    Image.fromarray(np.asarray(values).reshape(2, 2).astype(kind)).save(stream, format=suffix)
    return stream.getvalue()


def as_8_bits(*images: bytes) -> list[list[int]]:
    """What training sees of the images of a set, row by row."""
    encoded: list[Encoded] = [(image, f"image {number}") for number, image in enumerate(images)]
    found, _ = pair(
        (lambda index: [encoded[i] for i in index.tolist()], len(images)), (lambda _: [], 0), side=None
    )
    assert found.shape == (len(images), 1, 2, 2)
    return found[np.arange(len(images))].reshape(len(images), -1).tolist()


@pytest.mark.parametrize(
    ("values", "kind", "suffix", "expected"),
    [
        ([0, 257, 128 * 257, 65_535], np.uint16, "PNG", [0, 1, 128, 255]),
        ([0, 257, 128 * 257, 65_535], np.uint16, "TIFF", [0, 1, 128, 255]),
        ([0, 257, 128 * 257, 65_535], np.uint16, "PPM", [0, 1, 128, 255]),
        ([0, 1, 2, 200], np.uint16, "PNG", [0, 1, 2, 200]),
        ([0, 16, 2048, 4095], np.uint16, "PNG", [0, 1, 128, 255]),
        ([0, 257, 128 * 257, 65_535], np.int32, "TIFF", [0, 1, 128, 255]),
        ([0, 0.25, 0.5, 1], np.float32, "TIFF", [0, 64, 128, 255]),
        ([0, 1.2, 128, 255], np.float32, "TIFF", [0, 1, 128, 255]),
    ],
)
def test_values_of_any_range_become_8_bits(values: Any, kind: Any, suffix: str, expected: list[int]) -> None:
    assert as_8_bits(saved(values, kind, suffix)) == [expected]


def test_all_images_of_a_set_have_one_scale() -> None:
    dark, bright = saved([0, 16, 16, 16], np.uint16), saved([0, 0, 0, 4095], np.uint16)
    assert as_8_bits(dark, bright, saved([7] * 4, np.uint8)) == [[0, 1, 1, 1], [0, 0, 0, 255], [7] * 4]


@pytest.mark.parametrize("values", [[-1, 0, 0, 1], [0, 0, 0, 1e9], [0, 0, 0, np.nan]])
def test_values_without_a_meaning_are_refused(values: list[float]) -> None:
    with pytest.raises(DataError, match="image 0: the image has values from"):
        as_8_bits(saved(values, np.float32, "TIFF"))


def test_what_is_no_full_range_is_said() -> None:
    assert [*Largest(65_535).notes()] == []
    assert [*Largest(4095).notes()] == ["images of 16 bits use 12 of them (values up to 4095): 4095 is white"]
    assert [*Largest(0, 0.9).notes()] == ["images of floating-point numbers go up to 0.9: 1 is white"]


def test_a_deep_image_by_itself_has_its_own_scale() -> None:
    assert decode([(saved([0, 0, 0, 4095], np.uint16), "a")], grey=True, size=(2, 2))[0, 0, 1, 1] == 255
