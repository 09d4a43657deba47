"""Invariants of a study, which hold after any fault: checked by the fault tests and by `pdsearch verify`."""

from pdsearch.verify.rules import Breach, check_invariants

__all__ = ["Breach", "check_invariants"]
