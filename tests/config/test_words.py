from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from pdsearch.config import validators as words


@pytest.mark.parametrize(
    "value", ["runs/", "/mnt/shared", "a b", "s3-like/folder", "s3://bucket/runs", "gs://bucket"]
)
def test_folders_and_urls_are_storages(value: str) -> None:
    assert words.storage(value) == value


@pytest.mark.parametrize("value", ["ray://host", "s3://key:secret@bucket", "s3:///prefix", "file:///x", " "])
def test_anything_else_is_not(value: str) -> None:
    with pytest.raises(PydanticCustomError):
        words.storage(value)


def test_off_is_a_word() -> None:
    assert words.switch("off") is None
    assert words.switch({"a": 1}) == {"a": 1}
    for value in (None, False, True):
        with pytest.raises(PydanticCustomError):
            words.switch(value)


@pytest.mark.parametrize("value", [1, 2.5, True, "a", [1, [2, "b"]]])
def test_options_are_scalars_and_lists(value: Any) -> None:
    assert words.option(value) == value


@pytest.mark.parametrize("value", [None, {}, [], [None], {"a": 1}])
def test_options_are_nothing_else(value: Any) -> None:
    with pytest.raises(PydanticCustomError):
        words.option(value)


@pytest.mark.parametrize("value", [3600, None, "soon", ["1h"]])
def test_times_have_units(value: Any) -> None:
    assert words.duration("1h") == 3600
    with pytest.raises(PydanticCustomError):
        words.duration(value)


@pytest.mark.parametrize("value", [True, "1", None])
def test_numbers_are_numbers(value: Any) -> None:
    assert (words.number(1), words.number(0.5)) == (1, 0.5)
    with pytest.raises(PydanticCustomError):
        words.number(value)
