"""Loading of space files into a validated, frozen Space; every mistake becomes a ConfigError."""

from pdsearch.config.json_schema import json_schema
from pdsearch.config.loader import load, parse
from pdsearch.config.sections import Confirm, Resources
from pdsearch.config.serialize import diff, extension
from pdsearch.config.space import Halving, Parameter, Search, Space, positioned
from pdsearch.objectives import Constraint, Objective
