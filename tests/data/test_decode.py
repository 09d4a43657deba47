"""Encoded images become one array, or an error that says which image and why."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pdsearch.data.readers.decode import GREY, JPEG, PNG, decode, is_turned, mode_of, size_of
from pdsearch.errors import DataError


def png(mode: str = "RGB", size: tuple[int, int] = (4, 4), colour: int | tuple[int, ...] = 0) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, colour).save(stream, format="PNG")
    return stream.getvalue()


def test_colours_come_first() -> None:
    stack = decode([(png(colour=(1, 2, 3)), "a"), (png(colour=(4, 5, 6)), "b")], grey=False, size=(4, 4))
    assert stack.shape == (2, 3, 4, 4)
    assert stack[:, :, 0, 0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_grey_has_one_channel() -> None:
    stack = decode([(png("L", colour=9), "a")], grey=True, size=(4, 4))
    assert stack.shape == (1, 1, 4, 4)
    assert np.all(stack == 9)


def test_a_grey_image_among_coloured_ones_is_converted() -> None:
    assert decode([(png("L", colour=9), "a")], grey=False, size=(4, 4))[0, :, 0, 0].tolist() == [9, 9, 9]


@pytest.mark.parametrize(
    ("mode", "grey"), [("L", True), ("1", True), ("I;16", True), ("RGB", False), ("P", False)]
)
def test_which_images_are_grey(mode: str, grey: bool) -> None:
    assert (mode_of(png(mode), "a") in GREY) is grey


@pytest.mark.parametrize("data", [b"", b"no image", png()[:40], png()[:-28]])
def test_a_broken_image_is_named(data: bytes) -> None:
    with pytest.raises(DataError, match=r"file, row 7: the image cannot be decoded") as caught:
        decode([(data, "file, row 7")], grey=False, size=(4, 4))
    assert "object at" not in str(caught.value)


def test_a_mode_without_8_bits_is_refused() -> None:
    stream = io.BytesIO()
    Image.new("LAB", (4, 4)).save(stream, format="TIFF")
    with pytest.raises(DataError, match="mode LAB"):
        mode_of(stream.getvalue(), "a")


def test_another_size_is_named() -> None:
    with pytest.raises(DataError, match="second: the image is 5x5, the first one 4x4"):
        decode([(png(), "first"), (png(size=(5, 5)), "second")], grey=False, size=(4, 4))


def test_a_size_is_that_of_the_upright_image() -> None:
    assert size_of(png(size=(5, 4)), "a") == (4, 5)
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (5, 4)).save(stream, format="JPEG", exif=exif)
    assert size_of(stream.getvalue(), "a") == (5, 4)
    assert decode([(stream.getvalue(), "a")], grey=False, size=(5, 4)).shape == (1, 3, 5, 4)


@pytest.mark.parametrize("size", [(8, 4), (4, 8), (16, 8), (2, 3)])
def test_cropped_images_keep_their_middle(size: tuple[int, int]) -> None:
    image, (width, height) = Image.new("L", size, 0), size
    across = width > height
    margin = abs(width - height) // 2
    middle = (margin, 0, width - margin, height) if across else (0, margin, width, height - margin)
    image.paste(200, middle)
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    found = decode([(stream.getvalue(), "a")], grey=True, size=(4, 4), crop=True)
    assert found.shape == (1, 1, 4, 4)
    # Resizing smooths over the cut, by less than a pixel of the result.
    assert np.all(found[..., 1:-1, 1:-1] == 200)


def test_images_of_the_right_size_are_cropped_to_themselves() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    encoded = [(stream.getvalue(), "a")]
    cropped = decode(encoded, grey=False, size=(4, 4), crop=True)
    assert np.array_equal(cropped, decode(encoded, grey=False, size=(4, 4)))
    assert np.array_equal(cropped[0], pixels.transpose(2, 0, 1))


UPRIGHT = np.random.default_rng(1).integers(0, 2, (2, 2, 1), dtype=np.uint8).repeat(8, 0).repeat(8, 1) * 200
UPRIGHT = np.concatenate([UPRIGHT, 255 - UPRIGHT, UPRIGHT // 2], axis=2)
"""Four squares of one colour each, which JPEG keeps."""

STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an image is stored that a viewer turns by the orientation: what turns it back."""


def with_orientation(suffix: str, orientation: int) -> bytes:
    stored, stream, exif = Image.fromarray(UPRIGHT), io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    known: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
    }
    stored = stored.transpose(STORED[orientation]) if orientation in STORED else stored
    stored.save(stream, format=suffix, exif=exif, **known.get(suffix, {}))
    return stream.getvalue()


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, *STORED, 9])
def test_images_are_upright(suffix: str, orientation: int) -> None:
    data = with_orientation(suffix, orientation)
    found = decode([(data, "a")], grey=False, size=(16, 16))[0].transpose(1, 2, 0)
    assert np.abs(found.astype(int) - UPRIGHT).max() <= 3
    assert is_turned(data) is (orientation in STORED and suffix != "TIFF")


def test_a_cropped_image_is_turned_before_it_is_cropped() -> None:
    tall, stream, exif = Image.new("L", (4, 8), 0), io.BytesIO(), Image.Exif()
    tall.paste(200, (0, 0, 4, 2))
    exif[0x0112] = 6
    tall.transpose(STORED[6]).save(stream, format="PNG", exif=exif)
    assert decode([(stream.getvalue(), "a")], grey=True, size=(4, 4), crop=True).max() < 100


def test_a_broken_note_of_the_orientation_is_no_broken_image() -> None:
    whole = with_orientation("JPEG", 3)
    start = whole.index(b"Exif\0\0")
    for broken in (b"Exif\0\0" + b"\xff" * 8, b"Exif\0\0" + whole[start + 6 : start + 14] + b"\xff" * 8):
        data = whole[:start] + broken + whole[start + len(broken) :]
        assert len(data) == len(whole)
        assert decode([(data, "a")], grey=False, size=(16, 16)).shape == (1, 3, 16, 16)
        assert not is_turned(data)
    for data in (b"", b"no image", JPEG, JPEG + b"\xff", PNG, PNG + b"\0\0\0\0eXIf"):
        assert not is_turned(data)


def test_transparency_is_dropped_and_the_first_frame_is_taken() -> None:
    assert decode([(png("RGBA", colour=(9, 8, 7, 0)), "a")], grey=False, size=(4, 4))[
        0, :, 0, 0
    ].tolist() == [
        9,
        8,
        7,
    ]
    assert decode([(png("LA", colour=(9, 0)), "a")], grey=False, size=(4, 4))[0, :, 0, 0].tolist() == [
        9,
        9,
        9,
    ]
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), (9, 8, 7)).quantize(2).save(stream, format="PNG", transparency=b"\0\x80")
    assert decode([(stream.getvalue(), "a")], grey=False, size=(4, 4))[0, :, 0, 0].tolist() == [9, 8, 7]
    stream = io.BytesIO()
    frames = [Image.new("L", (4, 4), value) for value in (50, 100)]
    frames[0].save(stream, format="GIF", save_all=True, append_images=frames[1:])
    assert np.all(decode([(stream.getvalue(), "a")], grey=True, size=(4, 4)) == 50)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("CMYK", "TIFF"), ("CMYK", "JPEG"), ("YCbCr", "JPEG"), ("P", "GIF")]
)
def test_colours_of_other_kinds_become_red_green_and_blue(mode: str, suffix: str) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 100, 0)).convert(mode).save(stream, format=suffix)
    found = decode([(stream.getvalue(), "a")], grey=False, size=(8, 8))[0, :, 4, 4]
    assert np.abs(found.astype(int) - [200, 100, 0]).max() <= 8


@pytest.mark.parametrize("size", [(10_001, 10_000), (20_000, 10_000)])
def test_an_image_of_more_pixels_than_any_photograph_is_refused_before_it_is_decoded(
    size: tuple[int, int],
) -> None:
    """Some kilobytes of one colour would become hundreds of megabytes."""
    stream = io.BytesIO()
    Image.new("1", size).save(stream, format="PNG")
    assert len(stream.getvalue()) < 100_000
    with pytest.raises(DataError, match=r"a\.png: the image has .* 100,000,000"):
        decode([(stream.getvalue(), "a.png")], grey=True, size=(8, 8), crop=True)
