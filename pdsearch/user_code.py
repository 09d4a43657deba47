"""User code named by dotted path, `package.module:function`, and the options that it declares."""

import functools
import hashlib
import importlib
import inspect
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, is_dataclass
from functools import lru_cache
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from pdsearch.errors import ConfigError, PdsearchError, TrialError, nearest
from pdsearch.registry import NoParams

_places: list[str] = []
"""Folders beside the current one in which own code may lie: those of space files."""

FORM = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def is_dotted(name: str) -> bool:
    """Return whether a name is a dotted path to user code rather than a registered part."""
    return ":" in name


def look_in(*folders: str | Path) -> None:
    """Let own code be found in some folders too, after everything else."""
    _places.extend(path for path in map(os.path.abspath, folders) if path not in _places)


def places() -> list[str]:
    """Return the folders given to `look_in` for another process, also as seen from the current folder."""
    return [*_places, *map(os.path.relpath, _places)]


def load_dotted(name: str) -> Callable[..., Any]:
    """Import the callable that a dotted name refers to; the module runs once in each process.

    The folder in which the process was started, and that of the space file, are searched as well, after all installed
    packages.

    Args:
        name: `package.module:function`.

    Raises:
        ConfigError: The name is malformed, or its target cannot be imported or is not callable; the message says which.
    """
    return _loaded(name)[0]


def load_part(
    name: str, *, noun: str, called_with: str, arguments: int
) -> tuple[Callable[..., Any], type[Any]]:
    """Import a user's loss or pruning method and its parameter dataclass.

    Args:
        name: `package.module:function`.
        noun: What it is, for messages.
        called_with: Description of its arguments, for messages.
        arguments: Number of its arguments.

    Returns:
        The function, and the dataclass that is its attribute `params`; `NoParams` without one.

    Raises:
        ConfigError: As `load_dotted`; or its signature does not fit, or its parameters are no dataclass.
    """
    found = load_dotted(name)
    try:
        inspect.signature(found).bind(*[None] * arguments)
    except (TypeError, ValueError) as error:
        hint = f"it is called with {called_with}"
        raise ConfigError(f"{name} is no {noun}: {error}", hint=hint) from error
    params = getattr(found, "params", NoParams)
    if not (isinstance(params, type) and is_dataclass(params)):
        raise ConfigError(
            f"{name}.params is no dataclass", hint="declare each field with pdsearch.registry.parameter"
        )
    return found, params


def source_hash(name: str) -> str:
    """Return the SHA-256 of the source file behind a dotted name, as it was when it was imported.

    Files that it imports are not included.

    Raises:
        ConfigError: As `load_dotted`; or there is no source file.
    """
    return _loaded(name)[1]


def source_folder(name: str) -> str | None:
    """Return the folder from which the module of a dotted name was imported; None for an installed package.

    Raises:
        ConfigError: As `load_dotted`.
    """
    load_dotted(name)
    top = sys.modules[name.partition(":")[0].partition(".")[0]]
    # The parent of a package's folder, or of a module's file, is what must be on sys.path.
    found = [*getattr(top, "__path__", ()), getattr(top, "__file__", None)][0]
    folder = Path(found).absolute().parent if found else None
    installed = folder is None or LIBRARIES & {*folder.parts}
    return None if installed else str(folder)


@functools.cache  # If the file changes later, this process still runs the old content.
def _loaded(name: str) -> tuple[Callable[..., Any], str]:
    if not FORM.fullmatch(name):
        raise ConfigError(f"{name!r} is not of the form package.module:function")
    path, _, attribute = name.partition(":")
    module = _module(path)
    found = getattr(module, attribute, None)
    if found is None:
        hint = nearest(attribute, vars(module)).strip() or "check the name after the colon"
        raise ConfigError(f"the module {path} has no {attribute!r}", hint=hint)
    if not callable(found):
        raise ConfigError(f"{name} is no function, but a {type(found).__name__}")
    return found, _hash(found, name)


def _module(path: str) -> object:
    # At the end, so that no file here hides an installed module.
    if not {"", os.getcwd()} & {*sys.path}:
        sys.path.append(os.getcwd())
    sys.path.extend(folder for folder in _places if folder not in sys.path)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(path)
    except (Exception, SystemExit) as error:  # The user's module may raise anything.
        if isinstance(error, ModuleNotFoundError) and path.startswith(error.name or "?"):
            hint = "it must be installed, or lie beside the space file, or where pdsearch is started"
            raise ConfigError(f"cannot import {path}: there is no such module", hint=hint) from None
        what, place = str(error), place_of(error)
        if isinstance(error, SyntaxError) and error.filename:
            place = f" ({os.path.relpath(error.filename)}:{error.lineno}: {(error.text or '').strip()})"
            what = error.msg
        hint = f"mend it; python -c 'import {path}' shows the whole traceback"
        if isinstance(error, ModuleNotFoundError):
            hint = f"install what brings {error.name}, or correct the import"
        raise ConfigError(f"cannot import {path}: {type(error).__name__}: {what}{place}", hint=hint) from None


def source_file(name: str) -> str:
    """Return the path of the source file behind a dotted name; "" where it has none.

    Raises:
        ConfigError: As `load_dotted`.
    """
    try:
        return os.path.abspath(_file(load_dotted(name)))
    except TypeError:
        return ""


def _file(found: Callable[..., object]) -> str:
    while isinstance(found, functools.partial):
        found = found.func
    return inspect.getsourcefile(inspect.unwrap(found)) or ""


def _hash(found: Callable[..., object], name: str) -> str:
    try:
        content = Path(_file(found)).read_bytes()
    except (TypeError, OSError) as error:
        hint = "name a function or class that is written in a Python file"
        raise ConfigError(f"{name} has no source file to know it by", hint=hint) from error
    return hashlib.sha256(content).hexdigest()


VAR_KEYWORD, VAR_POSITIONAL = Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL


@dataclass(frozen=True)
class Options:
    """Options that a model or a data source accepts; `name in options` is whether it accepts that one.

    Args:
        types: The annotation of each declared option; `inspect.Parameter.empty` where it has none.
        others: It accepts any other as well.
    """

    types: Mapping[str, Any] = field(default_factory=dict)
    others: bool = False

    def __contains__(self, name: object) -> bool:
        return self.others or name in self.types


def declared_by(function: Callable[..., object]) -> Mapping[str, Parameter]:
    """Return the named arguments that a function declares.

    Raises:
        TypeError: It has no signature.
        ValueError: As raised by `inspect.signature`.
    """
    return {
        name: parameter
        for name, parameter in _parameters(function).items()
        if parameter.kind not in (VAR_KEYWORD, VAR_POSITIONAL)
    }


def takes_others(function: Callable[..., object]) -> bool:
    """Return whether a function accepts undeclared keyword arguments."""
    return any(parameter.kind is VAR_KEYWORD for parameter in _parameters(function).values())


@lru_cache(maxsize=256)  # Reading signatures would take most of the time of loading a space.
def _parameters(function: Callable[..., object]) -> Mapping[str, Parameter]:
    try:
        return signature(function, eval_str=True).parameters
    # A user's annotation that is text may be any text.
    except Exception:
        return signature(function).parameters


FULL = "OutOfMemoryError"
"""The name of torch's error where a GPU's memory is full: what meets it tries again with less."""


@contextmanager
def called(
    name: str, where: str, kind: type[PdsearchError] = TrialError, *, only_own: bool = False
) -> Iterator[None]:
    """Run a block that calls a part; an error of the part's own becomes one that names it, and its field.

    Args:
        name: The part.
        where: Its field in the space.
        kind: Raised for any error but pdsearch's own and full memory.
        only_own: Only for those that passed through a line of the user's.
    """
    try:
        yield
    except (PdsearchError, MemoryError):
        raise
    except Exception as error:  # The user's code may raise anything.
        if type(error).__name__ == FULL or (only_own and not user_lines(error)):
            raise
        lines = [*map(str.strip, str(error).strip().splitlines()), "no reason given"]
        reason = " ".join(lines[: 1 + lines[0].endswith(":")])
        raise kind(f"{name} fails: {type(error).__name__}: {reason}", where=where, hint="mend it") from error


OURS_AND_PYTHONS = (
    str(Path(__file__).parent) + os.sep,
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")),
)
LIBRARIES = {"site-packages", "dist-packages"}
MOST_LINES = 5


def causes(error: BaseException) -> list[BaseException]:
    """Return an error and, of one of pdsearch's, those that it was raised from, the first cause last."""
    found = [error]  # An error raised from one that it caused makes the chain a circle.
    while isinstance(error, PdsearchError) and error.__cause__ is not None and error.__cause__ not in found:
        error = error.__cause__
        found.append(error)
    return found


def user_lines(error: BaseException) -> list[str]:
    """Return where an error passed through the user's own code, innermost frame last, as `FILE:LINE, in NAME: CODE`.

    Args:
        error: An error, or one of pdsearch's that was raised from it.
    """
    error = causes(error)[-1]
    if isinstance(error, PdsearchError):  # Its message was written for the user.
        return []
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    return [
        f"{os.path.relpath(frame.filename)}:{frame.lineno}, in {frame.name}: {frame.line}"
        for frame in frames[-MOST_LINES:]
    ]


def place_of(error: BaseException) -> str:
    """Return where an error entered the user's own code and where it was raised there, in brackets; "" if nowhere."""
    lines = user_lines(error)
    return f" ({' > '.join(dict.fromkeys((lines[0], lines[-1])))})" if lines else ""


def _is_users(file: str) -> bool:
    path = os.path.abspath(file)
    return (
        file.endswith(".py") and not path.startswith(OURS_AND_PYTHONS) and not LIBRARIES & {*Path(path).parts}
    )
