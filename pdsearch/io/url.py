"""Checks of object storage URLs: scheme, form, and absence of secrets. Standard library only."""

import re
from urllib.parse import parse_qsl, urlsplit

from pdsearch.redaction import is_secret, redacted

SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs")
"""Schemes of pyarrow.fs that results can be stored on. S3 is tested; the others use the same code path."""

_NAME = re.compile(r"[^\s%\\\x00-\x1f\x7f]+")

_CREDENTIALS = (
    "give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile in ~/.aws, or the instance's role"
)


def is_url(text: str) -> bool:
    """Return whether a text is a URL rather than a path."""
    return "://" in text


def flaw(url: str) -> tuple[str, str] | None:
    """Return what is wrong with a storage's URL and what to do; None if nothing is. No secrets are included."""
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        return f"{scheme}:// is no storage", f"name a folder, or one of {known}"
    try:
        parts = urlsplit(url)
        names = [
            name
            for name, _ in parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        ]
    except ValueError as error:
        return f"{redacted(url)} is no URL: {error}", "write s3://bucket/prefix?option=value&option=value"
    if "@" in parts.netloc and not _harmless_user(scheme, parts.netloc):
        return f"{redacted(url)}: credentials do not belong into a URL", _CREDENTIALS
    secret = next((name for name in names if is_secret(name)), None)
    if secret is not None:
        return f"{redacted(url)}: {secret} does not belong into a URL", _CREDENTIALS
    if not parts.netloc and scheme != "hdfs":
        return f"{redacted(url)} names no bucket", f"write {scheme}://bucket/prefix"
    return _bad_path(redacted(url), parts.path.strip("/"), parts.fragment)


def _harmless_user(scheme: str, netloc: str) -> bool:
    """Return whether the user part is no secret: Azure puts the container's name there, Google's `anonymous`."""
    user = netloc.rpartition("@")[0]
    return ":" not in user and (scheme in ("abfs", "abfss") or user == "anonymous")


def _bad_path(shown: str, path: str, fragment: str) -> tuple[str, str] | None:
    hint = "use names of letters, digits, dots and dashes"
    if fragment:
        return f"{shown}: # has no meaning here", hint
    for name in path.split("/") if path else ():
        if name in ("", ".", "..") or not _NAME.fullmatch(name):
            return f"{shown}: {name!r} is no name in a storage", hint
    return None
