"""Removal of secrets found in URLs and environment variables from messages, records and logs.

Standard library only: imported whenever a space file is read.
"""

import os
import re

_WORDS = "key|token|secret|passw"
_OPTION = re.compile(f"{_WORDS}|signature|credential|^sig$|^sas$", re.IGNORECASE)
_VARIABLE = re.compile(_WORDS, re.IGNORECASE)
_SHORTEST = 6

_USER = re.compile(r"\b((?:s3|gcs?|gs|abfss?|hdfs)://)[^/@\s'\"]*@")
"""User part of an object storage's URL: a secret, or not worth showing."""

_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")
_PAIR = re.compile(r"([?&;])([\w.%-]+)=([^&;\s'\"]*)")


def is_secret(option: str) -> bool:
    """Return whether an option of a URL holds a secret, judged by its name."""
    return bool(_OPTION.search(option))


def redacted(text: str) -> str:
    """Return a text without the secrets in URLs and without the values of environment variables that hold secrets."""
    text = _PASSWORD.sub(r"\1:***@", _USER.sub(r"\1***@", text))
    text = _PAIR.sub(lambda found: f"{found[1]}{found[2]}=***" if is_secret(found[2]) else found[0], text)
    for name, value in os.environ.items():
        if _VARIABLE.search(name) and len(value) >= _SHORTEST:
            text = text.replace(value, "***")
    return text
