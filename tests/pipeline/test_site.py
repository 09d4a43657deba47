"""A worker keeps what it loaded, within its bound."""

from pathlib import Path

from pdsearch.pipeline.context import MemoryCache
from tests.pipeline.digits import site


def keep(kept: MemoryCache, name: str, size: int) -> list[str]:
    """Ask for a thing of a size; return the names that had to be made for it."""
    made: list[str] = []

    def make() -> tuple[str, int]:
        made.append(name)
        return name.upper(), size

    assert kept.get((name,), make) == name.upper()
    return made


def test_a_thing_at_hand_is_not_made_again() -> None:
    kept = MemoryCache(limit_bytes=10)
    assert keep(kept, "a", 4) == ["a"]
    assert keep(kept, "a", 4) == []


def test_what_was_not_used_for_longest_goes_first() -> None:
    kept = MemoryCache(limit_bytes=10)
    for name in ("a", "b", "a", "c"):
        keep(kept, name, 4)
    assert keep(kept, "a", 4) == []
    assert keep(kept, "b", 4) == ["b"]


def test_a_single_larger_thing_is_kept_until_the_next_one() -> None:
    kept = MemoryCache(limit_bytes=10)
    keep(kept, "large", 100)
    assert keep(kept, "large", 100) == []
    keep(kept, "small", 1)
    assert keep(kept, "large", 100) == ["large"]


def test_a_new_trial_counts_from_zero_and_keeps_what_was_loaded(tmp_path: Path) -> None:
    here = site(tmp_path)
    here.trained("teacher")
    here.trained("teacher")
    here.kept.get(("x",), lambda: (1, 1))
    assert here.epochs == {"teacher": 2}
    epochs = here.epochs
    here.begin()
    assert (here.epochs, here.uses, epochs) == ({}, [], {"teacher": 2})
    assert here.kept.get(("x",), lambda: (2, 1)) == 1
