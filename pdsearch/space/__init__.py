"""From a space file to a validated, frozen Space; whatever is wrong with one becomes a ConfigError."""

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
from pdsearch.space.schema import json_schema

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
    "json_schema",
    "load",
    "parse",
    "registered",
]
