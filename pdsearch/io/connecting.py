"""Construction of pyarrow file systems from URLs, for S3 with timeouts that `from_uri` cannot set.

With the defaults, one call to a server that accepts and does not answer takes 100 seconds (measured with pyarrow 26).
"""

from typing import Any
from urllib.parse import parse_qsl

from pdsearch.io.place import Remote

_CONNECT_S, _ANSWER_S = 5.0, 10.0
"""Timeouts of the connection and of an answer; the latter only counts while no bytes arrive."""

_OPTIONS = ("region", "scheme", "endpoint_override")
_SWITCHES = ("allow_bucket_creation", "allow_bucket_deletion")


def connect(root: Remote) -> tuple[Any, str]:
    """Return a pyarrow file system and the name of the bucket in it.

    Raises:
        ValueError: An option of the URL is not known.
        OSError: The bucket's region could not be determined.
    """
    # Imported here because it takes a second and is needed for object storages only.
    from pyarrow.fs import FileSystem

    scheme, _, bucket = root.bucket.partition("://")
    if scheme == "s3":
        return _s3(bucket, root.query), bucket
    files, base = FileSystem.from_uri(f"{root.bucket}?{root.query}" if root.query else root.bucket)
    return files, base.rstrip("/")


def _s3(bucket: str, query: str) -> Any:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

    options: dict[str, Any] = dict(parse_qsl(query))
    for name in options:
        if name not in _OPTIONS + _SWITCHES:
            raise ValueError(f"option {name!r}; known are {', '.join(_OPTIONS + _SWITCHES)}")
        if name in _SWITCHES:
            options[name] = options[name].lower() in ("true", "1")
    if "region" not in options and "endpoint_override" not in options:
        options["region"] = resolve_s3_region(bucket)
    return S3FileSystem(
        **options,
        connect_timeout=_CONNECT_S,
        request_timeout=_ANSWER_S,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=1),  # `Objects` retries itself.
        allow_delayed_open=True,  # A small object then takes one request instead of three.
    )
