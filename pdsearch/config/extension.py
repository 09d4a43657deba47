"""What a wider space adds to the one a study began with, and which other differences cannot be added to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pdsearch.config.serialize import ABSENT, diff

_ADDED = ("defaults.", "distill.", "prune.", "student.", "train.")
"""Sections in which a new choice may need values that nothing had before."""


@dataclass(frozen=True)
class Extension:
    """The differences of two spaces, one line each.

    Args:
        wider: Those that leave every trial so far a point of the space.
        refused: All others, with the reason.
    """

    wider: tuple[str, ...]
    refused: tuple[str, ...]


def extension(before: Mapping[str, Any], after: Mapping[str, Any]) -> Extension:
    """Compare two spaces, as `Space.identity` gives them.

    Args:
        before: What the study has.
        after: What it is to have.
    """
    was, now = before.get("space", {}), after.get("space", {})
    wider, refused = [], []
    for name in sorted({*was, *now}):
        if was.get(name) == now.get(name):
            continue
        lines = [
            f"space.{line}"
            for line in diff(*({name: each[name]} if name in each else {} for each in (was, now)))
        ]
        reason = _reason(was.get(name), now.get(name), was)
        if reason is None:
            wider += lines
        else:
            refused.append("; ".join(lines) + f" ({reason})")
    for line in diff({**before, "space": None}, {**after, "space": None}):
        added = line.startswith(_ADDED) and f": {ABSENT} -> " in line
        (wider if added and wider else refused).append(line)
    return Extension(tuple(wider), tuple(refused))


def _reason(
    was: Mapping[str, Any] | None, now: Mapping[str, Any] | None, before: Mapping[str, Any]
) -> str | None:
    """Return why a parameter cannot follow another one in the same study; None if it only is wider."""
    if was is None:
        return "no trial so far has a value of it"
    if now is None:
        return "trials so far have values of it"
    if ("choices" in was) != ("choices" in now):
        return "a list of choices and a range cannot be compared"
    conditions = _condition(was.get("when", {}), now.get("when", {}), before)
    if conditions is not None:
        return conditions
    return _choices(was["choices"], now["choices"]) if "choices" in was else _range(was, now)


def _choices(was: list[Any], now: list[Any]) -> str | None:
    known = [repr(choice) for choice in now]
    gone = [str(choice) for choice in was if repr(choice) not in known]
    return f"{', '.join(gone)} cannot be taken away: trials may have it" if gone else None


def _range(was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    if now["low"] > was["low"] or now["high"] < was["high"]:
        return "a range may become wider, not narrower"
    if was["log"] != now["log"]:
        return "its scale cannot change"
    if isinstance(was["low"], int) != isinstance(now["low"], int):
        return "its kind of number cannot change"
    old, new = was.get("step"), now.get("step")
    if new is None:
        return None
    if old is None or not _whole(old / new) or not _whole((was["low"] - now["low"]) / new):
        return "its steps would leave out values that trials may have"
    return None


def _whole(value: float) -> bool:
    return abs(value - round(value)) < 1e-9


def _condition(was: Mapping[str, Any], now: Mapping[str, Any], before: Mapping[str, Any]) -> str | None:
    """Return why a `when` cannot change so: only values that are new choices themselves may be added."""
    if was.keys() != now.keys():
        return "its `when` cannot name other parameters"
    for name, values in now.items():
        old = before.get(name, {}).get("choices", [])
        if [value for value in was[name] if value not in values]:
            return "its `when` would leave out trials that have it"
        if [value for value in values if value not in was[name] and value in old]:
            return "its `when` would ask it of trials that have none"
    return None
