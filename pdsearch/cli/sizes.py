"""Formatting and parsing of numbers of bytes, and of estimated times."""

import re

from pdsearch.errors import ConfigError

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


def size(count: float) -> str:
    """Return a number of bytes as text with a decimal unit, B to TB."""
    value = count
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:,.3g} TB"


def about(seconds: float) -> str:
    """Return an estimated time as text, as exact as an estimate is."""
    if seconds < 100:
        return f"{round(seconds, -1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def parse_size(text: str) -> int:
    """Return the bytes of a text such as "50GB".

    Raises:
        ConfigError: The text is not a size.
    """
    match = _FORM.fullmatch(text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise ConfigError(f"{text!r} is no size", where="--max-size", hint="write it as 500MB, 50GB or 2TB")
    return int(float(match[1]) * _UNITS[match[2]])
