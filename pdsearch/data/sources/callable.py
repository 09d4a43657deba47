"""Data source `callable`: a set returned by the user's own function, importable where it runs."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pdsearch.data.readers.arrays import Layout, checked
from pdsearch.data.registry import Images, RawData, sources
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec, canonical_json, keyed
from pdsearch.user_code import Options, called, load_dotted

OPTION, VERSION = "function", "version"
WHERE = f"data.options.{OPTION}"
AT_ONCE = 1024
FIELDS = ("train_images", "train_labels", "test_images", "test_labels", "classes")


@dataclass(frozen=True)
class FromCallable:
    """What `package.module:function` returns: a RawData, or its fields (train and test images and labels, classes).

    Test images and labels are None where there are none; `data.test_fraction` then cuts them off.

    Options: `function`, its name; `version`, any word that stands for the content, which is otherwise read whole to
    be hashed; all others, and `root` if it is given, are its keyword arguments. It is imported where pdsearch was
    started, on every machine that needs the images, and runs with the user's rights.

    Source:
        Your own code.
    """

    options: ClassVar[Options] = Options({OPTION: str, VERSION: Any}, others=True)

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the hash of the declared version, or of all images and labels."""
        options = dict(spec.options)
        name = _name(options)
        if VERSION in options:
            declared = {"function": name, "options": keyed(options)}
            return hashlib.sha256(canonical_json(declared).encode()).hexdigest()
        return _hash(self.read(replace(spec, fingerprint="")))

    def read(self, spec: DataSpec) -> RawData:
        """Call the function and check what it returns, also whether that has the fingerprint of the spec, if any."""
        name = _name(dict(spec.options))
        try:
            return self._read(spec, name)
        except (ConfigError, DataError) as error:
            if error.where and error.where.startswith(name):
                raise type(error)(f"{error.where}: {error.what}", where=WHERE, hint=error.hint) from error
            raise

    def _read(self, spec: DataSpec, name: str) -> RawData:
        options = dict(spec.options)
        arguments = {key: value for key, value in options.items() if key not in (OPTION, VERSION)}
        if spec.root is not None:
            arguments["root"] = spec.root
        try:
            found = _function(name)(**arguments)
        except (ConfigError, DataError):
            raise
        except (Exception, SystemExit) as error:  # The user's code may raise anything.
            what = f"the function failed: {type(error).__name__}: {error}"
            raise DataError(what, where=name, hint="mend it; --debug shows the traceback") from error
        raw = _as_raw(found, name)
        if spec.fingerprint and VERSION not in options and _hash(raw) != spec.fingerprint:
            hint = f"seed its random numbers, or state in data.options.{VERSION} what stands for the content"
            what = "the function returned other data than when it was first called"
            raise DataError(what, where=name, hint=hint)
        return replace(raw, notes=(*raw.notes, *Layout(raw.inputs).notes()))


def _name(options: dict[str, object]) -> str:
    name = options.get(OPTION)
    if not isinstance(name, str):
        hint = f"write {OPTION}: package.module:function under data.options"
        raise ConfigError("the source callable needs a function", where=WHERE, hint=hint)
    return name


def _function(name: str) -> Callable[..., object]:
    try:
        return load_dotted(name)
    except ConfigError as error:
        raise ConfigError(error.what, where=WHERE, hint=error.hint) from error


def _as_raw(found: Any, name: str) -> RawData:
    try:
        if isinstance(found, dict):
            raise TypeError("it is a dict")
        fields = [getattr(found, name) for name in FIELDS] if isinstance(found, RawData) else found
        train, train_labels, test, test_labels, classes = fields
        train = _inputs(train, name)
        if test is None and test_labels is None:
            test, test_labels = np.empty((0, *train.shape[1:]), getattr(train, "dtype", np.uint8)), []
        parts = train, _labels(train_labels), _inputs(test, name), _labels(test_labels)
        return checked(RawData(*parts, tuple(map(str, classes)), tuple(getattr(found, "notes", ()))), name)
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        hint = f"return {', '.join(FIELDS)}"
        raise DataError(f"the function returned no data set: {error}", where=name, hint=hint) from error


def _inputs(found: Any, name: str) -> Any:
    """Return inputs that are a list or a tensor as an array, and any that are read when indexed with their name."""
    _check_unmasked(found)
    lazy = hasattr(found, "shape") and not hasattr(found, "numpy") and not isinstance(found, np.ndarray)
    return _Lazy(found, name) if lazy else np.asanyarray(found)


@dataclass(frozen=True)
class _Lazy:
    """Inputs that the user's own code reads when they are indexed."""

    images: Any
    name: str

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: NDArray[np.int64], /) -> NDArray[Any]:
        with called(f"{self.name}: indexing its inputs", WHERE, DataError):
            found = self.images[index]
            _check_unmasked(found)
            found = np.asarray(found)
        stated = (len(index), *self.images.shape[1:]), np.dtype(getattr(self.images, "dtype", np.uint8))
        if (found.shape, found.dtype) != stated:
            what = (
                f"{self.name}: its inputs are {found.dtype} {found.shape}, and state {stated[1]} {stated[0]}"
            )
            hint = "index them with an int64 array (B,) for the inputs there, of the shape and type that they state"
            raise DataError(what, where=WHERE, hint=hint)
        return found

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self.images, attribute)


def _check_unmasked(found: object) -> None:
    """Refuse an array with masked values, whose mask nothing here keeps."""
    if np.ma.is_masked(found):
        raise ValueError("values are masked: fill them (array.filled(0)), or leave these inputs out")


def _labels(found: object) -> NDArray[Any]:
    _check_unmasked(found)
    labels = np.atleast_1d(np.asarray(found))
    return labels.astype(np.int64) if labels.dtype.kind in "iu" or not labels.size else labels


def _hash(raw: RawData) -> str:
    content = hashlib.sha256("|".join(raw.classes).encode())
    for images, labels in ((raw.train_images, raw.train_labels), (raw.test_images, raw.test_labels)):
        content.update(f"|{tuple(images.shape)}|".encode() + labels.tobytes())
        _add(content, images)
    return content.hexdigest()


def _add(content: Any, images: Images) -> None:
    kind = np.dtype(getattr(images, "dtype", np.uint8))
    if kind != np.uint8:
        content.update(f"|{kind.name}".encode())
    for start in range(0, len(images), AT_ONCE):
        index = np.arange(start, min(start + AT_ONCE, len(images)), dtype=np.int64)
        content.update(np.ascontiguousarray(images[index]).data)


sources.add("callable")(FromCallable())
