"""Options of data sources: their declarations, and checks of given values."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pdsearch.data.registry import sources
from pdsearch.errors import ConfigError, DataError
from pdsearch.io.durable import from_home
from pdsearch.specs import DataSpec, Params
from pdsearch.user_code import Options

DOWNLOAD = Options({"download": bool})
"""Options of a source that downloads missing files."""

SHOWN = 3
"""Number of files or folders that a message lists."""

LOCATED_OPTIONS = frozenset(DOWNLOAD.types)
"""Options that affect how a set is obtained, not its content: never part of a key."""


def source_options(spec: DataSpec, known: Options) -> dict[str, Any]:
    """Return the options of a spec by name.

    Raises:
        ConfigError: The source does not know one of them.
    """
    options = dict(spec.options)
    for name in options:
        if name not in known:
            hint = f"its options: {', '.join(known.types) or 'none'}"
            raise ConfigError(
                f"source {spec.source!r} has no option {name!r}", where=f"data.options.{name}", hint=hint
            )
    return options


def keyed_options(options: Params) -> Params:
    """Return the options that affect what the images are."""
    return tuple((name, value) for name, value in options if name not in LOCATED_OPTIONS)


def root_of(spec: DataSpec) -> Path:
    """Return the folder of a set.

    Raises:
        ConfigError: The spec names none.
    """
    if spec.root is None:
        hint = "set data.root to the folder that holds it, or that it may be downloaded to"
        raise ConfigError(f"the source {spec.source} needs a folder", where="data.root", hint=hint)
    return from_home(spec.root)


def lasting_root(spec: DataSpec) -> str | None:
    """Return `root` as an absolute path, independent of the working directory; a leading `~` is kept.

    The user's own function may take any string as its root: URLs, and strings that are no existing path, are kept.
    """
    root = spec.root
    if root is None or root.startswith("~") or "://" in root:
        return root
    path = Path(root).absolute()
    return root if spec.source == "callable" and not path.exists() else str(path)


def cut_for_test(spec: DataSpec, *, has_test: bool, where: str, hint: str = "") -> bool:
    """Return whether test images are to be cut from the training images, as `test_fraction` requests if there are none.

    Raises:
        ConfigError: It is requested although the set has test images.
        DataError: The set has no test images, and it is not requested.
    """
    if has_test and spec.test_fraction:
        what = f"the set has test images of its own ({where})"
        raise ConfigError(what, where="data.test_fraction", hint="leave it out, or take them away")
    if not has_test and not spec.test_fraction:
        cut = "set data.test_fraction, e.g. to 0.2, to cut them from the training images"
        raise DataError("there are no test images", where=where, hint=f"{hint}, or {cut}" if hint else cut)
    return not has_test


def first_of(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are, for a message."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def not_read(names: Sequence[str]) -> Iterable[str]:
    """Yield a note on files or folders beside those of the training and test images, e.g. others for validation."""
    if names:
        yield f"not read: {first_of(names)} (validation images are cut from the training images)"


def may_download(spec: DataSpec) -> bool:
    """Return whether missing files may be downloaded: the option `download`, true by default.

    Raises:
        ConfigError: The option is neither true nor false, or the source does not know another one.
    """
    allowed = source_options(spec, DOWNLOAD).get("download", True)
    if not isinstance(allowed, bool):
        hint = "write true or false"
        raise ConfigError(f"download is {allowed!r}", where="data.options.download", hint=hint)
    return allowed


def must_be_there(spec: DataSpec) -> bool:
    """Return whether the images must be in `root` already, because nothing downloads them.

    Raises:
        ConfigError: The option `download` is neither true nor false, or the source does not know an option.
    """
    if spec.root is None:
        return False
    if "download" in sources.get(spec.source).options.types:
        return not may_download(spec)
    return spec.source != "callable" or Path(spec.root).exists()  # A function may take any string.
