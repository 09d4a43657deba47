"""How is a time written? As `90s`, `12h` or `1h30m`; a bare number is refused, for nobody knows its unit."""

import re

__all__ = ["format_duration", "parse_duration"]

DURATION = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,8})s)?")
SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def parse_duration(text: str) -> int:
    """Return the seconds of a text such as "1h30m".

    Raises:
        ValueError: It is no such text, or zero.
    """
    match = DURATION.fullmatch(text)
    seconds = (
        sum(int(n or 0) * s for n, s in zip(match.groups(), SECONDS.values(), strict=True)) if match else 0
    )
    if seconds == 0:
        raise ValueError("not a time")
    return seconds


def format_duration(seconds: int) -> str:
    """Return the text of a time in whole seconds; the inverse of `parse_duration`."""
    text = ""
    for unit, size in SECONDS.items():
        count, seconds = divmod(seconds, size)
        text += f"{count}{unit}" if count else ""
    return text
