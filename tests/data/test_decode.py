"""Encoded images become one array, or an error that says which image and why."""

import io

import numpy as np
import pytest
from PIL import Image

from pdsearch.data.decode import decode, is_grey, side_of
from pdsearch.errors import DataError


def png(mode: str = "RGB", size: tuple[int, int] = (4, 4), colour: int | tuple[int, ...] = 0) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, colour).save(stream, format="PNG")
    return stream.getvalue()


def test_colours_come_first() -> None:
    stack = decode([(png(colour=(1, 2, 3)), "a"), (png(colour=(4, 5, 6)), "b")], grey=False, side=4)
    assert stack.shape == (2, 3, 4, 4)
    assert stack[:, :, 0, 0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_grey_has_one_channel() -> None:
    stack = decode([(png("L", colour=9), "a")], grey=True, side=4)
    assert stack.shape == (1, 1, 4, 4)
    assert np.all(stack == 9)


def test_a_grey_image_among_coloured_ones_is_converted() -> None:
    assert decode([(png("L", colour=9), "a")], grey=False, side=4)[0, :, 0, 0].tolist() == [9, 9, 9]


@pytest.mark.parametrize(("mode", "grey"), [("L", True), ("1", True), ("RGB", False), ("P", False)])
def test_is_grey(mode: str, grey: bool) -> None:
    assert is_grey(png(mode), "a") is grey


@pytest.mark.parametrize("data", [b"", b"no image", png()[:40], png()[:-28]])
def test_a_broken_image_is_named(data: bytes) -> None:
    with pytest.raises(DataError, match=r"file, row 7: the image cannot be decoded") as caught:
        decode([(data, "file, row 7")], grey=False, side=4)
    assert "object at" not in str(caught.value)


def test_sixteen_bits_are_refused() -> None:
    with pytest.raises(DataError, match="mode I;16"):
        is_grey(png("I;16"), "a")


def test_another_size_is_named() -> None:
    with pytest.raises(DataError, match="second: the image is 5x5, the first one 4x4"):
        decode([(png(), "first"), (png(size=(5, 5)), "second")], grey=False, side=4)


def test_images_have_to_be_square() -> None:
    with pytest.raises(
        DataError, match=r"a: the image is 5x4, not square\n  -> resize.* data\.options\.image_size"
    ):
        side_of(png(size=(5, 4)), "a")
    assert side_of(png(size=(5, 5)), "a") == 5


@pytest.mark.parametrize("size", [(8, 4), (4, 8), (16, 8), (2, 3)])
def test_cropped_images_keep_their_middle(size: tuple[int, int]) -> None:
    image, (width, height) = Image.new("L", size, 0), size
    across = width > height
    margin = abs(width - height) // 2
    middle = (margin, 0, width - margin, height) if across else (0, margin, width, height - margin)
    image.paste(200, middle)
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    found = decode([(stream.getvalue(), "a")], grey=True, side=4, crop=True)
    assert found.shape == (1, 1, 4, 4)
    # Resizing smooths over the cut, by less than a pixel of the result.
    assert np.all(found[..., 1:-1, 1:-1] == 200)


def test_images_of_the_right_size_are_cropped_to_themselves() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    encoded = [(stream.getvalue(), "a")]
    cropped = decode(encoded, grey=False, side=4, crop=True)
    assert np.array_equal(cropped, decode(encoded, grey=False, side=4))
    assert np.array_equal(cropped[0], pixels.transpose(2, 0, 1))
