"""A value that a test knows to be there."""

from typing import TypeVar

T = TypeVar("T")


def some(value: T | None) -> T:
    """Return a value that may be None for its type alone."""
    assert value is not None
    return value
