"""Which images of a part a network gets right: a bit each, as text for a record. Standard library only."""

import base64
import zlib
from collections.abc import Sequence

MOST_IMAGES = 1 << 27
"""Most images that are unpacked: text of a kilobyte may stand for a gigabyte."""


def pack(right: Sequence[bool]) -> str:
    """Return the answers as text, "COUNT:BITS": bits, the first image's highest, deflated, in base64."""
    size = (len(right) + 7) // 8
    bits = int("".join("1" if one else "0" for one in right).ljust(8 * size, "0") or "0", 2).to_bytes(
        size, "big"
    )
    return f"{len(right)}:{base64.b64encode(zlib.compress(bits, 9)).decode()}"


def unpack(text: str) -> tuple[int, bytes]:
    """Return the number of answers and their bits, eight a byte, that `pack` made text of.

    Raises:
        ValueError: The text is no such answers.
    """
    count, _, packed = text.partition(":")
    if not count.isascii() or not count.isdigit() or not 0 < int(count[:20]) <= MOST_IMAGES:
        raise ValueError(f"expected COUNT:BITS, got {text!r:.60}")
    size = (int(count) + 7) // 8
    try:
        bits = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), size + 1)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"expected COUNT:BITS, got {text!r:.60}") from error
    if len(bits) != size:
        raise ValueError(f"expected {count} answers, got those of {8 * len(bits)}")
    return int(count), bits
