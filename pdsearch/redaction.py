"""What must not stand in a message, a record or a log? Passwords in URLs, and what the environment keeps secret."""

import os
import re

__all__ = ["redacted"]

_IN_URL = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW", re.IGNORECASE)
_SHORTEST = 6


def redacted(text: str) -> str:
    """Return a text without passwords in URLs, and without the values of environment variables that hold secrets."""
    text = _IN_URL.sub(r"\1:***@", text)
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST:
            text = text.replace(value, "***")
    return text
