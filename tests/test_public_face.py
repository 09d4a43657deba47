"""The public names: all there, loaded when used, the same for type checkers, and documented."""

import ast
from pathlib import Path

import pytest

import pdsearch

SOURCE = ast.parse(Path(pdsearch.__file__).read_text(encoding="utf-8"))


def test_every_public_name_can_be_had() -> None:
    assert [name for name in pdsearch.__all__ if getattr(pdsearch, name, None) is None] == []
    assert pdsearch.__all__ == sorted(pdsearch.__all__)
    assert dir(pdsearch) == pdsearch.__all__


def test_type_checkers_see_the_names_that_are_loaded() -> None:
    (guarded,) = [node for node in SOURCE.body if isinstance(node, ast.If)]
    imports = [node for node in guarded.body if isinstance(node, ast.ImportFrom)]
    seen = {
        str(node.module).removeprefix("pdsearch."): {name.name for name in node.names} for node in imports
    }
    assert seen == {module: set(names.split()) for module, names in pdsearch._HOMES.items()}
    assert {name for names in seen.values() for name in names} == {*pdsearch.__all__} - {"__version__"}


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'serch'"):
        pdsearch.serch  # noqa: B018
