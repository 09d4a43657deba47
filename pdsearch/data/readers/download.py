"""Published files: download with progress lines, hash checked before anything reads them; members of archives."""

import hashlib
import http.client
import os
import sys
import tarfile
import urllib.error
import urllib.request
import uuid
import zlib
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from pdsearch.data.readers.regular_files import reading
from pdsearch.errors import DataError
from pdsearch.io.durable import check_regular, read_regular

BLOCK = 2**20
TIMEOUT_S = 60.0
STEPS = 10


@dataclass(frozen=True)
class PublishedFile:
    """A published file.

    Args:
        url: Its address.
        sha256: Hash of its bytes, 64 hex digits.
    """

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """Its file name, the same locally as in the URL."""
        return self.url.rsplit("/", 1)[-1]


def fetched(remote: PublishedFile, folder: Path, *, download: bool) -> Path:
    """Return the file in a folder; if it is missing, download it, with a line on stderr at every tenth.

    An existing file is not checked: the fingerprint of the set identifies its content.

    Raises:
        DataError: It is no regular file, or it is missing and may not or cannot be downloaded, or its hash is not the
            published one.
    """
    path = folder / remote.name
    if path.is_file():
        return path
    with reading(path, "put the published file there, or remove what is there"), suppress(FileNotFoundError):
        check_regular(path)
    if not download:
        hint = f"download {remote.url} there, or leave out download: false"
        raise DataError("no such file", where=str(path), hint=hint)
    draft = folder / f".{remote.name}.{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = _download(remote, draft, folder)
        if found == remote.sha256:
            os.replace(draft, path)
            return path
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # An HTTPError is also an open response.
        hint = f"check the network and the disk, or put {remote.url} there yourself"
        raise DataError(f"the download failed: {error}", where=str(path), hint=hint) from error
    finally:
        draft.unlink(missing_ok=True)
    what = f"{remote.url} is not the file that was published: its SHA-256 is {found}, not {remote.sha256}"
    raise DataError(what, where=str(path), hint="try again later, or put the right file there yourself")


def _download(remote: PublishedFile, draft: Path, folder: Path) -> str:
    """Write the file and return its hash."""
    digest = hashlib.sha256()
    with closing(urllib.request.urlopen(remote.url, timeout=TIMEOUT_S)) as answer, draft.open("xb") as stream:
        size = int(answer.headers.get("Content-Length") or 0)
        _say(f"downloading {remote.url} ({_megabytes(size)}) to {folder}")
        done = told = 0
        while block := answer.read(BLOCK):
            digest.update(block)
            stream.write(block)
            done += len(block)
            if size and done * STEPS // size > told:
                told = done * STEPS // size
                _say(f"{remote.name}: {100 * done // size} % of {_megabytes(size)}")
        if done < size:
            raise http.client.IncompleteRead(b"", size - done)
        stream.flush()
        os.fsync(stream.fileno())
    return digest.hexdigest()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size else "unknown size"


BROKEN = (tarfile.TarError, EOFError, zlib.error, OSError)


def members(
    archive: PublishedFile, root: Path, folder: str, names: tuple[str, ...], *, download: bool
) -> dict[str, bytes]:
    """Return the content of files by name.

    Args:
        archive: A tar file, compressed or not.
        root: Folder of the archive, its download target, or where it was unpacked.
        folder: Folder of the files inside the archive.
        names: Names of the files in that folder.
        download: Whether the archive may be downloaded.

    Raises:
        DataError: The archive or a file in it is missing or broken.
    """
    unpacked = root / folder
    found: dict[str, bytes] = {}
    if unpacked.is_dir() and not (root / archive.name).is_file():
        for name in names:
            with reading(unpacked / name, "unpack the archive again"):
                found[name] = read_regular(unpacked / name)
        return found
    path = fetched(archive, root, download=download)
    wanted = {f"{folder}/{name}": name for name in names}
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                known = wanted.get(member.name.removeprefix("./"))
                stream = tar.extractfile(member) if known and member.isfile() else None
                if known and stream:
                    found[known] = stream.read()
                if len(found) == len(names):
                    return found
    except BROKEN as error:
        hint = "remove it and download it again"
        # The message of tarfile lists every compression it tried, a line each.
        reason = str(error).splitlines()[0].removesuffix(":") if str(error) else type(error).__name__
        raise DataError(f"no readable archive: {reason}", where=str(path), hint=hint) from error
    missing = ", ".join(name for name in names if name not in found)
    raise DataError(
        f"the archive lacks {missing} in {folder}", where=str(path), hint=f"it is not {archive.url}"
    )
