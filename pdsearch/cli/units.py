"""Numbers of bytes and of seconds as text, and a number of bytes from it."""

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
    """Return an estimated duration as text, no finer than an estimate is."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"


def duration(seconds: float) -> str:
    """Return a duration as text, in seconds, minutes or hours."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def parse_size(text: str) -> int:
    """Return the bytes of a text such as "50GB".

    Raises:
        ConfigError: The text is not a size.
    """
    match = _FORM.fullmatch(text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise ConfigError(f"{text!r} is no size", where="--max-size", hint="write it as 500MB, 50GB or 2TB")
    return int(float(match[1]) * _UNITS[match[2]])
