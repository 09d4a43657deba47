"""What does an unquoted word mean? As in YAML 1.2's core schema: `5e-4` is a number, `off` a string.

Source: YAML 1.2.2, section 10.3.2. PyYAML alone follows YAML 1.1: `5e-4` is a string, `off` is false.
"""

import math
import re

from pdsearch.space.document import Scalar

__all__ = ["resolve_scalar"]

NULL = frozenset({"", "~", "null", "Null", "NULL"})
TRUE = frozenset({"true", "True", "TRUE"})
FALSE = frozenset({"false", "False", "FALSE"})
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
LONGEST_NUMBER = 40


def resolve_scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar.

    Raises:
        ValueError: It is a number that is not finite or does not fit 64 bits; the message is fit for people.
    """
    if text in NULL:
        return None
    if text in TRUE or text in FALSE:
        return text in TRUE
    if NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number")
    if INTEGER.fullmatch(text):
        return _integer(text)
    if FLOAT.fullmatch(text):
        return _float(text)
    return text


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a whole number of this length fits no field")
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    value = int(text[2:] if base != 10 else text, base)
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{text} does not fit 64 bits")
    return value


def _float(text: str) -> float:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a number of this length has more digits than it can keep")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value
