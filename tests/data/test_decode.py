"""Images as bytes of files become tensors, of eight bits or more."""

import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pdsearch.data.readers.decode import (
    GREY,
    JPEG,
    PNG,
    Encoded,
    Largest,
    decode_images,
    is_turned,
    mode_of,
    size_of,
)
from pdsearch.data.readers.encoded import Fetch, pair
from pdsearch.errors import DataError
from tests.data.layouts import pixels, whole
from tests.data.layouts import png as png_of


def png(mode: str = "RGB", size: tuple[int, int] = (4, 4), colour: int | tuple[int, ...] = 0) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, colour).save(stream, format="PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("mode", "grey"), [("L", True), ("1", True), ("I;16", True), ("RGB", False), ("P", False)]
)
def test_which_images_are_grey(mode: str, grey: bool) -> None:
    assert (mode_of(png(mode), "a")[0] in GREY) is grey


@pytest.mark.parametrize("data", [b"", b"no image", png()[:40], png()[:-28]])
def test_a_broken_image_is_named(data: bytes) -> None:
    with pytest.raises(DataError, match=r"file, row 7: the image cannot be decoded") as caught:
        decode_images([(data, "file, row 7")], grey=False, size=(4, 4))
    assert "object at" not in str(caught.value)


@pytest.mark.parametrize(
    "fault", [RuntimeError("planes"), EOFError("end"), zlib.error("-3"), IndexError("9")]
)
def test_whatever_a_plugin_raises_is_a_broken_image(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(DataError, match=r"^row 7: the image cannot be decoded"):
        decode_images([(png(), "row 7")], grey=False, size=(4, 4))


def test_a_mode_without_8_bits_is_refused() -> None:
    stream = io.BytesIO()
    Image.new("LAB", (4, 4)).save(stream, format="TIFF")
    with pytest.raises(DataError, match="mode LAB"):
        mode_of(stream.getvalue(), "a")


def test_another_size_is_named() -> None:
    with pytest.raises(DataError, match="second: the image is 5x5, the first one 4x4"):
        decode_images([(png(), "first"), (png(size=(5, 5)), "second")], grey=False, size=(4, 4))


def test_a_size_is_that_of_the_upright_image() -> None:
    assert size_of(png(size=(5, 4)), "a") == (4, 5)
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (5, 4)).save(stream, format="JPEG", exif=exif)
    assert size_of(stream.getvalue(), "a") == (5, 4)
    assert decode_images([(stream.getvalue(), "a")], grey=False, size=(5, 4)).shape == (1, 3, 5, 4)


@pytest.mark.parametrize("size", [(8, 4), (4, 8), (16, 8), (2, 3)])
def test_cropped_images_keep_their_middle(size: tuple[int, int]) -> None:
    image, (width, height) = Image.new("L", size, 0), size
    across = width > height
    margin = abs(width - height) // 2
    middle = (margin, 0, width - margin, height) if across else (0, margin, width, height - margin)
    image.paste(200, middle)
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    found = decode_images([(stream.getvalue(), "a")], grey=True, size=(4, 4), crop=True)
    assert found.shape == (1, 1, 4, 4)
    # Resizing smooths over the cut, by less than a pixel of the result.
    assert np.all(found[..., 1:-1, 1:-1] == 200)


def test_images_of_the_right_size_are_cropped_to_themselves() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    encoded = [(stream.getvalue(), "a")]
    cropped = decode_images(encoded, grey=False, size=(4, 4), crop=True)
    assert np.array_equal(cropped, decode_images(encoded, grey=False, size=(4, 4)))
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
    found = decode_images([(data, "a")], grey=False, size=(16, 16))[0].transpose(1, 2, 0)
    assert np.abs(found.astype(int) - UPRIGHT).max() <= 3
    assert is_turned(data) is (orientation in STORED and suffix != "TIFF")


def test_a_cropped_image_is_turned_before_it_is_cropped() -> None:
    tall, stream, exif = Image.new("L", (4, 8), 0), io.BytesIO(), Image.Exif()
    tall.paste(200, (0, 0, 4, 2))
    exif[0x0112] = 6
    tall.transpose(STORED[6]).save(stream, format="PNG", exif=exif)
    assert decode_images([(stream.getvalue(), "a")], grey=True, size=(4, 4), crop=True).max() < 100


def test_a_broken_note_of_the_orientation_is_no_broken_image() -> None:
    whole = with_orientation("JPEG", 3)
    start = whole.index(b"Exif\0\0")
    for broken in (b"Exif\0\0" + b"\xff" * 8, b"Exif\0\0" + whole[start + 6 : start + 14] + b"\xff" * 8):
        data = whole[:start] + broken + whole[start + len(broken) :]
        assert len(data) == len(whole)
        assert decode_images([(data, "a")], grey=False, size=(16, 16)).shape == (1, 3, 16, 16)
        assert not is_turned(data)
    for data in (b"", b"no image", JPEG, JPEG + b"\xff", PNG, PNG + b"\0\0\0\0eXIf"):
        assert not is_turned(data)


def test_transparency_is_dropped_and_the_first_frame_is_taken() -> None:
    transparent, animated = io.BytesIO(), io.BytesIO()
    palette = Image.new("RGB", (4, 4), (9, 8, 7)).quantize(2)
    palette.save(transparent, format="PNG", transparency=b"\0\x80")
    frames = [Image.new("L", (4, 4), value) for value in (50, 100)]
    frames[0].save(animated, format="GIF", save_all=True, append_images=frames[1:])
    for data, colour in (
        (png("RGBA", colour=(9, 8, 7, 0)), [9, 8, 7]),
        (png("LA", colour=(9, 0)), [9, 9, 9]),
        (transparent.getvalue(), [9, 8, 7]),
        (animated.getvalue(), [50, 50, 50]),
    ):
        assert decode_images([(data, "a")], grey=False, size=(4, 4))[0, :, 0, 0].tolist() == colour


@pytest.mark.parametrize(
    ("mode", "suffix"), [("CMYK", "TIFF"), ("CMYK", "JPEG"), ("YCbCr", "JPEG"), ("P", "GIF")]
)
def test_colours_of_other_kinds_become_red_green_and_blue(mode: str, suffix: str) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 100, 0)).convert(mode).save(stream, format=suffix)
    found = decode_images([(stream.getvalue(), "a")], grey=False, size=(8, 8))[0, :, 4, 4]
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
        decode_images([(stream.getvalue(), "a.png")], grey=True, size=(8, 8), crop=True)


COLOUR, GREY_8 = pixels(5, 3, 8), pixels(5, 1, 8)


def fetching(*images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> tuple[Fetch, int]:
    def fetch(index: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> list[Encoded]:
        return [(png_of(images[i]), f"image {i}") for i in index.tolist()]

    return fetch, len(images)


def test_some_are_decoded() -> None:
    train, test = pair(fetching(*COLOUR), fetching(*COLOUR[:2]), side=None)
    assert (train.shape, test.shape) == ((5, 3, 8, 8), (2, 3, 8, 8))
    assert np.array_equal(train[np.array([4, 1])], COLOUR[[4, 1]])
    assert np.array_equal(whole(test), COLOUR[:2])


def test_grey_only_if_every_image_of_both_is() -> None:
    assert np.array_equal(whole(pair(fetching(*GREY_8), fetching(*GREY_8), side=None)[0]), GREY_8)
    train, _ = pair(fetching(*GREY_8), fetching(*GREY_8[:3], COLOUR[0]), side=None)
    assert np.array_equal(whole(train), GREY_8.repeat(3, axis=1))


def test_training_and_test_images_are_of_one_size() -> None:
    with pytest.raises(DataError, match="differ in size: 8x8 and 6x6"):
        pair(fetching(*COLOUR), fetching(*pixels(1, 3, 6)), side=None)
    assert pair(fetching(*COLOUR), fetching(*pixels(1, 3, 6)), side=4)[1].shape == (1, 3, 4, 4)


def test_images_need_not_be_square() -> None:
    wide = np.ascontiguousarray(COLOUR[..., :6, :])
    train, test = pair(fetching(*wide), fetching(*wide[:2]), side=None)
    assert (train.shape, whole(test).shape) == ((5, 3, 6, 8), (2, 3, 6, 8))


@pytest.mark.parametrize("broken", [b"", b"no image", png_of(COLOUR[0])[:-40], png_of(pixels(1, 3, 6)[0])])
def test_all_broken_images_are_listed_at_once(broken: bytes) -> None:
    def damaged(index: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> list[Encoded]:
        return [(png_of(COLOUR[0]) if i % 3 else broken, f"image {i}") for i in index.tolist()]

    message = r"^3 of 9 images cannot be used:\n    image 3: .*\n    image 6: .*\n    image 9: .*\n  -> "
    with pytest.raises(DataError, match=message):
        whole(pair((lambda i: damaged(i + 1), 7), (lambda i: damaged(i + 8), 2), side=None)[0])


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
