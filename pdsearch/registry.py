"""Registries of parts (methods, losses, models, data sources, ...), filled by decorators when modules are imported.

Installed packages add parts by the entry point group `pdsearch.plugins`: each entry names a module that registers its
parts when it is imported.
"""

import dataclasses
import importlib
import math
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import entry_points
from typing import Any, Generic, TypeAlias, TypeVar

from pdsearch.errors import ConfigError, nearest
from pdsearch.specs import Params

T = TypeVar("T")

PLUGINS = "pdsearch.plugins"
"""The entry point group of packages that add parts."""


def parameter(
    default: object,
    *,
    help: str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[object, ...] | None = None,
    log: bool = False,
    later: bool = False,
) -> Any:
    """Declare a field of a parameter dataclass: its YAML schema, help text and searchable range.

    Args:
        default: Value if the space file gives none.
        help: One line for `pdsearch list`.
        low: Smallest legal value, inclusive.
        high: Largest legal value, inclusive.
        choices: The only legal values, instead of low and high.
        log: The natural scale is logarithmic.
        later: It was added after its part was first published. Its default is the behaviour before that and never
            changes; at that value it is left out of specifications, hence of keys.
    """
    known = {"help": help, "low": low, "high": high, "choices": choices, "log": log, "later": later}
    return field(default=default, metadata=known)


@dataclass(frozen=True)
class NoParams:
    """Parameter dataclass of an entry without parameters."""


@dataclass
class Registry(Generic[T]):
    """Named entries of one kind, found by importing every module of a package.

    Args:
        kind: What an entry is called in messages, e.g. "pruning method".
        package: Dotted name of the package whose modules register entries when imported.
        own: Returns the user's entry of a dotted path, `package.module:function`; None where there are no such entries.
        function_of: Returns the function or class behind an entry.
    """

    kind: str
    package: str
    own: Callable[[str], T] | None = None
    function_of: Callable[[T], Any] = lambda entry: entry
    _entries: dict[str, T] = field(default_factory=dict)
    _discovered: bool = False

    def add(self, name: str) -> Callable[[T], T]:
        """Register the decorated entry under a name.

        Raises:
            ValueError: The name is taken.
        """

        def decorate(entry: T) -> T:
            if not self._discovered and not _built_in(self._function(entry)):
                self._import_parts()  # A part of others' never takes the name of a built-in one.
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return decorate

    def get(self, name: str) -> T:
        """Return the entry registered under a name, or the user's of a dotted path.

        Raises:
            ConfigError: No entry has the name, and the message lists the known ones and the nearest; or what a dotted
                path names is no such entry.
        """
        if self.own is not None and ":" in name:
            return self.own(name)
        self._discover()
        if name not in self._entries:
            hint = f"{nearest(name, self._entries)}known: {', '.join(self.names())}"
            raise ConfigError(f"unknown {self.kind} {name!r}", hint=hint)
        return self._entries[name]

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        self._discover()
        return sorted(self._entries)

    def own_name(self, name: str) -> str | None:
        """Return `package.module:function` for a part of the user's or of a plug-in; None for a built-in one.

        What such a part computes is identified by the hash of its file, not by the version of pdsearch.
        """
        if ":" in name:
            return name
        self._discover()
        if name not in self._entries:
            return None
        function = self._function(self._entries[name])
        return None if _built_in(function) else f"{function.__module__}:{function.__qualname__}"

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries or (self.own is not None and ":" in str(name))

    def _function(self, entry: T) -> Any:
        function = self.function_of(entry)
        while isinstance(function, partial):
            function = function.func
        return function

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        try:
            self._import_parts()
            if fault := _plugins_fault():
                raise fault
        except BaseException:
            self._discovered = False
            raise

    def _import_parts(self) -> None:
        for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
            importlib.import_module(f"{self.package}.{module.name}")


def _built_in(function: Any) -> bool:
    return str(getattr(function, "__module__", "pdsearch")).partition(".")[0] == "pdsearch"


@cache  # Loaded again, one that failed would find its own first parts registered.
def _plugins_fault() -> ConfigError | None:
    """Load all plug-ins once, and return what is wrong with the first that cannot be loaded."""
    for point in entry_points(group=PLUGINS):
        try:
            point.load()
        except (Exception, SystemExit) as error:  # A plug-in may raise anything.
            what = f"the plug-in {point.name!r} cannot be loaded: {type(error).__name__}: {error}"
            package = point.dist.name if point.dist else point.value
            fault = ConfigError(what, where=point.value, hint=f"mend or uninstall the package {package}")
            fault.__cause__ = error
            return fault
    return None


AnyRegistry: TypeAlias = Registry[Any]
"""A registry, whatever its parts are."""


def make_params(kind: type[Any], values: Params, *, where: str | None = None) -> Any:
    """Return an instance of a parameter dataclass, with defaults for fields that are not given.

    Args:
        kind: Dataclass whose fields are declared with `pdsearch.registry.parameter`.
        values: (name, value) pairs, as specs hold them.
        where: Prefix of names in messages, e.g. "distill.kd".

    Raises:
        ConfigError: A name is unknown, or a value has the wrong type or lies outside its declared range.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in values:
        if name not in fields:
            hint = f"{nearest(name, fields)}known: {', '.join(fields) or 'none'}"
            raise ConfigError(f"unknown parameter {name!r}", where=where, hint=hint)
        problem = _problem(fields[name], value)
        if problem:
            raise ConfigError(f"{name}: {problem}, got {value!r}", where=where)
    return kind(**dict(values))


def whole_params(kind: type[Any], values: Params) -> Params:
    """Return all parameters of a part, sorted and with defaults, as a search writes them into a spec.

    Parameters added to the part later are left out at their default, so that older keys stay valid.

    Args:
        kind: As for `make_params`.
        values: (name, value) pairs in any order.
    """
    given, found = dict(values), {}
    for declared in dataclasses.fields(kind):
        value = given.get(declared.name, declared.default)
        if isinstance(declared.default, float) and isinstance(value, int):
            value = float(value)
        if not (declared.metadata.get("later") and value == declared.default):
            found[declared.name] = value
    return tuple(sorted(found.items()))


def _problem(field: "dataclasses.Field[Any]", value: object) -> str | None:
    """Return what is wrong with a value; None if nothing is."""
    if choices := field.metadata.get("choices"):
        # 1 == True, but only one of them is the declared choice.
        fits = any(value == choice and type(value) is type(choice) for choice in choices)
        return None if fits else f"must be one of {', '.join(map(str, choices))}"
    low, high = field.metadata.get("low"), field.metadata.get("high")
    if low is None and high is None:
        return None
    whole = isinstance(field.default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return f"must be {'a whole number' if whole else 'a number'}"
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    return None if low <= value <= high else f"must be in [{low}, {high}]"
