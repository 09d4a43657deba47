"""From a space file to a validated, frozen Space; every mistake a person can make in one becomes a ConfigError."""

from pdsearch.space.canonical import diff
from pdsearch.space.catalog import Catalog, registered
from pdsearch.space.loader import load, parse
from pdsearch.space.model import (
    Confirm,
    Constraint,
    Halving,
    Objective,
    Parameter,
    Resources,
    Search,
    Space,
)

__all__ = [
    "Catalog",
    "Confirm",
    "Constraint",
    "Halving",
    "Objective",
    "Parameter",
    "Resources",
    "Search",
    "Space",
    "diff",
    "load",
    "parse",
    "registered",
]
