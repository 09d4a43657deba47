"""A part takes the options it declares, and others where it says so; annotations are read as far as they can be."""

from functools import partial
from typing import Any

import pytest

from pdsearch.user_code import Options, declared_by, takes_others


def read(*parts: str, size: int = 8, grey: "bool" = False) -> None:
    """Declares two options."""


def anything(**more: Any) -> None:
    """Declares none, and takes all."""


def broken(*, size: "Nowhere" = None) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Says what nobody can read."""


class Reader:
    """Is called as a function is."""

    def __init__(self, size: int, **more: Any) -> None:
        """Take anything."""


def test_declared_options_are_known_beside_any_others() -> None:
    assert "depth" in Options({"depth": int})
    assert "width" not in Options({"depth": int})
    assert "width" in Options({"depth": int}, others=True)


def test_what_is_declared_is_found_with_its_annotation() -> None:
    found = {name: argument.annotation for name, argument in declared_by(read).items()}
    assert found == {"size": int, "grey": bool}
    assert [*declared_by(partial(read, grey=True))] == ["size", "grey"]
    assert [*declared_by(anything)] == []
    assert declared_by(Reader)["size"].annotation is int
    assert declared_by(broken)["size"].annotation == "Nowhere"


def test_others_are_taken_where_the_signature_says_so() -> None:
    assert [takes_others(function) for function in (read, anything, Reader)] == [False, True, True]


def test_what_has_no_signature_says_so() -> None:
    with pytest.raises(ValueError, match="no signature"):
        declared_by(min)
