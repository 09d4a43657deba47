"""What is always true of a study, whatever happened to it: checked after every fault, and by `pdsearch verify`."""

from pdsearch.invariants.broken import Broken
from pdsearch.invariants.check import check_invariants

__all__ = ["Broken", "check_invariants"]
