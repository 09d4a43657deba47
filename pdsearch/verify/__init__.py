"""What is always true of a study, whatever happened to it: checked after every fault, and by `pdsearch verify`."""

from pdsearch.verify.broken import Breach
from pdsearch.verify.rules import check_invariants

__all__ = ["Breach", "check_invariants"]
