"""Access to an object storage through pyarrow.fs, with its own retries.

Every process builds its file system from the URL: pyarrow's loses its retries when pickled, and its threads do not
survive a fork.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl

from pdsearch.io.place import Remote
from pdsearch.io.refusals import StorageAwayError, judged, waiting

T = TypeVar("T")
U = TypeVar("U")

Files: TypeAlias = Any
"""A file system of pyarrow.fs, which carries no types."""

Call: TypeAlias = Callable[[Files, str], T]
"""One call to it: takes the file system and the name of the bucket in it."""

PATIENCE_S = 60.0
"""Seconds for which calls to a storage that does not answer are retried."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 8.0

_CHUNK = 8 * 2**20
_AT_ONCE = 32


@dataclass(frozen=True)
class Listed:
    """An object, or a common prefix of objects.

    Args:
        path: Its name below the bucket, as in `Remote`.
        size: Bytes; None for a prefix.
        modified: Seconds since 1970 by the storage's clock; 0 where it is unknown.
    """

    path: str
    size: int | None
    modified: float


class Objects:
    """The objects of a bucket; every call is retried while the storage does not answer.

    Args:
        bucket: Scheme and bucket.
        query: Options of the file system.
        patience_s: Seconds for which a call is retried; 0 tries once.

    Raises:
        ConfigError: An option is not known.
        StorageError: There is no such bucket, or no permission; raised at once.
        StorageAwayError: The storage has not answered for a minute.
    """

    def __init__(self, bucket: str, query: str, *, patience_s: float | None = None) -> None:
        self._root = Remote(bucket, "", query)
        self._patience = PATIENCE_S if patience_s is None else patience_s
        self._made: tuple[Files, str] | None = None

    def get(self, path: str) -> bytes | None:
        """Return an object's content, or None if it does not exist."""

        def call(files: Files, base: str) -> bytes:
            with files.open_input_stream(f"{base}/{path}") as stream:
                return bytes(stream.read())

        return self._try(path, _or(None, call))

    def size(self, path: str) -> int | None:
        """Return an object's size in bytes; None if it does not exist."""

        def call(files: Files, base: str) -> int | None:
            info = files.get_file_info(f"{base}/{path}")
            return int(info.size) if info.is_file else None

        return self._try(path, call)

    def checksum(self, path: str) -> str | None:
        """Return the SHA-256 of an object in hex, read in chunks; None if it does not exist."""

        def call(files: Files, base: str) -> str:
            # A read of S3 is a request, and the digest reads in small pieces.
            with files.open_input_stream(f"{base}/{path}", buffer_size=_CHUNK) as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()

        return self._try(path, _or(None, call))

    def get_all(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """Yield (path, content) of many objects in order, fetched concurrently."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield from pool.map(lambda path: (path, self.get(path)), paths)

    def put(self, path: str, content: bytes) -> None:
        """Store an object, replacing an existing one atomically."""

        def call(files: Files, base: str) -> None:
            with files.open_output_stream(f"{base}/{path}") as stream:
                stream.write(content)

        self._try(path, call)

    def upload(self, path: str, file: Path) -> None:
        """Store a file as an object."""

        def call(files: Files, base: str) -> None:
            with file.open("rb") as source, files.open_output_stream(f"{base}/{path}") as stream:
                shutil.copyfileobj(source, stream, _CHUNK)

        self._try(path, call)

    def download(self, path: str, file: Path) -> bool:
        """Write an object to a file; False if it does not exist."""

        def call(files: Files, base: str) -> bool:
            with files.open_input_stream(f"{base}/{path}") as stream, file.open("wb") as target:
                shutil.copyfileobj(stream, target, _CHUNK)
            return True

        return self._try(path, _or(False, call))

    def below(self, path: str, *, deep: bool = False) -> list[Listed]:
        """Return the entries below a prefix, sorted by name; with `deep` all objects, else only one level."""

        def call(files: Files, base: str) -> list[Listed]:
            from pyarrow.fs import FileSelector, FileType

            selector = FileSelector(_joined(base, path), allow_not_found=True, recursive=deep)
            infos = files.get_file_info(selector)
            found = [_found(info, base, FileType.File) for info in infos]
            return sorted((f for f in found if not deep or f.size is not None), key=lambda item: item.path)

        return self._try(path, call)

    def delete(self, path: str) -> bool:
        """Remove an object; False if it did not exist."""

        def call(files: Files, base: str) -> bool:
            files.delete_file(f"{base}/{path}")
            return True

        return self._try(path, _or(False, call))

    def delete_below(self, path: str) -> None:
        """Remove everything below a prefix, if there is anything."""
        self._try(path, _or(None, lambda files, base: files.delete_dir(f"{base}/{path}")))

    def copy(self, path: str, to: str) -> None:
        """Copy an object within the storage."""
        self._try(path, lambda files, base: files.copy_file(f"{base}/{path}", f"{base}/{to}"))

    def hasty(self, patience_s: float = 0) -> "Objects":
        """Return the same objects with fewer retries or none: for operations that are optional, or must be quick."""
        other = Objects(self._root.bucket, self._root.query, patience_s=patience_s)
        other._made = self._made
        return other

    def _try(self, path: str, call: "Call[T]") -> T:
        began, pause = time.monotonic(), _FIRST_PAUSE_S
        while True:
            try:
                answer = call(*self._built())
            except (OSError, ValueError) as error:
                refusal = judged(error, str(self._root / path))
                away = isinstance(refusal, StorageAwayError)
                if away:
                    waiting.refused(began, self._root.bucket)
                if not away or time.monotonic() + pause - began > self._patience:
                    raise refusal from None  # Pyarrow's message may contain secrets.
            else:
                waiting.answered()
                return answer
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _built(self) -> tuple[Files, str]:
        if self._made is None:
            self._made = connect(self._root)
        return self._made


def _or(absent: U, call: Call[T]) -> "Call[T | U]":
    """Return a call that gives a value of its own where there is no such object."""

    def tried(files: Files, base: str) -> T | U:
        try:
            return call(files, base)
        except FileNotFoundError:
            return absent

    return tried


def objects_at(place: Remote) -> Objects:
    """Return this process's connection to the bucket of a place."""
    return _connection(place.bucket, place.query, os.getpid())


@cache
def _connection(bucket: str, query: str, pid: int) -> Objects:  # noqa: ARG001 - a forked child gets its own
    return Objects(bucket, query)


def _joined(base: str, path: str) -> str:
    return f"{base}/{path}" if path else base


def _found(info: Any, base: str, file: Any) -> Listed:
    modified = info.mtime.timestamp() if info.mtime is not None else 0.0
    path = info.path.removeprefix(base).strip("/")
    return Listed(path, info.size if info.type == file else None, modified)


_CONNECT_S, _ANSWER_S = 5.0, 10.0
"""Timeouts of the connection and of an answer; the latter only counts while no bytes arrive.

`from_uri` cannot set them for S3: with the defaults, one call to a server that accepts and does not answer takes 100
seconds (measured with pyarrow 26).
"""

_OPTIONS = ("region", "scheme", "endpoint_override")
_SWITCHES = ("allow_bucket_creation", "allow_bucket_deletion")


def connect(root: Remote) -> tuple[Files, str]:
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


def _s3(bucket: str, query: str) -> Files:
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
