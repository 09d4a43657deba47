"""Conversion of frozen dataclasses to JSON values and back, checked against type hints. Standard library only.

Which images of a part a network gets right is packed into a text, a bit each.
"""

import base64
import dataclasses
import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
Decoder: TypeAlias = Callable[[object], object]

WHOLE: Mapping[str, bool] = {"whole": True}
"""Metadata of a field that holds the whole mapping its dataclass was read from, known fields and others alike."""

_SHOWN = 60


class DecodeError(ValueError):
    """A value does not have the type of its field.

    Args:
        what: What is wrong.
        path: Names and indices of the enclosing fields, outermost first.
    """

    def __init__(self, what: str, path: str = "") -> None:
        super().__init__(f"{path}: {what}" if path else what)
        self.what, self.path = what, path

    def inside(self, step: str) -> "DecodeError":
        """Return the same error with the enclosing field put before its path."""
        glue = "" if not self.path or self.path.startswith("[") else "."
        return DecodeError(self.what, f"{step}{glue}{self.path}")


def decode(kind: type[T], value: object) -> T:
    """Build a dataclass from JSON values; `encode` is the inverse.

    A missing field gets its neutral value (metadata "neutral"), else its default. An unknown field is refused unless
    the class sets `extensible = True`. A field with the metadata `WHOLE` gets the mapping as it stands, and is what
    `encode` writes. Numbers keep their type: an integer in a float field stays an integer, so that
    it is written again as it was read.

    Args:
        kind: A dataclass of dataclasses, mappings, tuples, literals, numbers, strings and None; `Any` accepts every
            JSON value, lists as tuples.
        value: What json.loads returned.

    Raises:
        DecodeError: A value is missing, unknown or of another type; the message names the field.
    """
    return cast("T", _decoder(cast("Any", kind))(value))


def encode(value: object) -> Any:
    """Return a dataclass as JSON values: mappings, lists, strings, numbers, None.

    Raises:
        ValueError: A number is not finite.
        TypeError: A value has no JSON form.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        whole = [getattr(value, f.name) for f in fields if "whole" in f.metadata]
        return encode(whole[0]) if whole else {f.name: encode(getattr(value, f.name)) for f in fields}
    if isinstance(value, Mapping):
        return {str(name): encode(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} cannot be written as JSON: it is not finite")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def frozen(value: object) -> Any:
    """Return a JSON value with tuples in place of its lists."""
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    if isinstance(value, Mapping):
        return {name: frozen(item) for name, item in value.items()}
    return value


@cache
def _decoder(hint: object) -> Decoder:
    """Return the function that checks and builds values of a type hint; cached per hint."""
    if hint is Any or hint is object:
        return frozen
    if dataclasses.is_dataclass(hint):
        return _of_dataclass(cast("type[Any]", hint))
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, of = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _of_optional(of)
    if origin is Literal:
        return _of_literal(of)
    if origin is tuple:
        return _of_tuple(of)
    if origin is not None and issubclass(origin, Mapping):
        return _of_mapping(of[1])
    raise TypeError(f"no JSON form is known of {hint}")


def _of_dataclass(kind: type[Any]) -> Decoder:
    hints = get_type_hints(kind)
    own = [f for f in dataclasses.fields(kind) if "whole" not in f.metadata]
    whole = [f.name for f in dataclasses.fields(kind) if "whole" in f.metadata]
    fields = {f.name: (f, _decoder(hints[f.name])) for f in own}
    extensible = getattr(kind, "extensible", False)

    def build(value: object) -> object:
        if not isinstance(value, Mapping):
            raise _expected("a mapping", value)
        if not extensible and (unknown := [name for name in value if name not in fields]):
            raise DecodeError("is no field that is known here", str(unknown[0]))
        given: dict[str, object] = {name: dict(value) for name in whole}
        for name, (field, decoder) in fields.items():
            if name in value:
                given[name] = _at(name, decoder, value[name])
            elif "neutral" in field.metadata:
                given[name] = field.metadata["neutral"]
            elif field.default is field.default_factory is dataclasses.MISSING:
                raise DecodeError("is missing", name)
        return kind(**given)

    return build


def _of_optional(of: tuple[object, ...]) -> Decoder:
    kinds = [kind for kind in of if kind is not NoneType]
    if len(kinds) != 1 or len(of) != 2:
        raise TypeError(f"no JSON form is known of a union of {of}")
    decoder = _decoder(kinds[0])
    return lambda value: None if value is None else decoder(value)


def _of_literal(known: tuple[object, ...]) -> Decoder:
    def check(value: object) -> object:
        if not isinstance(value, str) or value not in known:
            raise _expected(f"one of {', '.join(map(str, known))}", value)
        return value

    return check


def _of_tuple(of: tuple[object, ...]) -> Decoder:
    same = len(of) == 2 and of[1] is Ellipsis
    decoders = [_decoder(of[0])] if same else [_decoder(kind) for kind in of]

    def build(value: object) -> object:
        if not isinstance(value, list | tuple):
            raise _expected("a list", value)
        if not same and len(value) != len(decoders):
            raise DecodeError(f"expected {len(decoders)} values, got {len(value)}")
        chosen = decoders * len(value) if same else decoders
        return tuple(
            _at(f"[{i}]", decoder, item) for i, (decoder, item) in enumerate(zip(chosen, value, strict=True))
        )

    return build


def _of_mapping(of: object) -> Decoder:
    decoder = _decoder(of)

    def build(value: object) -> object:
        if not isinstance(value, Mapping):
            raise _expected("a mapping", value)
        return {name: _at(str(name), decoder, item) for name, item in value.items()}

    return build


def _at(step: str, decoder: Decoder, value: object) -> object:
    try:
        return decoder(value)
    except DecodeError as error:
        raise error.inside(step) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _expected("a text", value)
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise _expected("true or false", value)
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _expected("a whole number", value)
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _expected("a number", value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _expected("a finite number", value)
    return value


_PLAIN: dict[object, Decoder] = {str: _text, bool: _truth, int: _whole, float: _number}


def _expected(what: str, value: object) -> DecodeError:
    try:
        shown = json.dumps(value, default=str)
    except (ValueError, RecursionError):  # Thousands of digits, or of nesting levels.
        shown = type(value).__name__
    return DecodeError(
        f"expected {what}, got {shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + '...'}"
    )


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
