"""Read files of a published archive, from the archive or from its unpacked folder; nothing is unpacked here."""

import tarfile
import zlib
from pathlib import Path

from pdsearch.data.readers.download import PublishedFile, fetched
from pdsearch.errors import DataError
from pdsearch.io.durable import UnfitFileError, read_regular

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
    if unpacked.is_dir() and not (root / archive.name).is_file():
        return {name: _read(unpacked / name) for name in names}
    path = fetched(archive, root, download=download)
    wanted = {f"{folder}/{name}": name for name in names}
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                name = wanted.get(member.name.removeprefix("./"))
                stream = tar.extractfile(member) if name and member.isfile() else None
                if name and stream:
                    found[name] = stream.read()
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


def _read(path: Path) -> bytes:
    hint = "unpack the archive again"
    try:
        return read_regular(path)
    except UnfitFileError as error:
        raise DataError(error.what, where=str(path), hint=hint) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path), hint=hint) from error
