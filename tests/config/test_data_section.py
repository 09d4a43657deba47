"""The data section: augmentations, one or several, fixed or searched; where a set comes from is no part of it."""

from importlib import import_module
from typing import Any

import pytest

from pdsearch.config import json_schema, parse
from pdsearch.config.catalog import registered
from pdsearch.errors import ConfigError
from tests.config.documents import document

CATALOG = registered()
Draft202012Validator: Any = import_module("jsonschema").Draft202012Validator  # it ships no types
VALIDATOR = Draft202012Validator(json_schema(CATALOG))


def written(augment: object) -> dict[str, Any]:
    return document({"distill.alpha": [0.5, 0.9]}, data={"source": "digits", "augment": augment})


@pytest.mark.parametrize(
    ("augment", "expected"),
    [
        ("crop_flip", "crop_flip"),
        (["crop_flip", "mixup(1)"], "crop_flip+mixup"),
        ("crop_flip + mixup(0.2)", "crop_flip+mixup(0.2)"),
    ],
)
def test_it_is_one_word_in_a_trial(augment: object, expected: str) -> None:
    VALIDATOR.validate(written(augment))
    found = parse(written(augment), catalog=CATALOG)
    assert found.resolve(found.defaults()).data.augment == expected
    again = found.to_json()
    VALIDATOR.validate(again)
    assert parse(again, catalog=CATALOG) == found


def test_combinations_can_be_searched() -> None:
    searched = {"data.augment": ["none", "crop_flip + cutmix(1.0)"]}
    VALIDATOR.validate(document(searched))
    found = parse(document(searched), catalog=CATALOG)
    assert found.parameters[0].choices == ("none", "crop_flip+cutmix")


@pytest.mark.parametrize(
    ("augment", "why"),
    [
        (["mixup", "crop"], r"images are mixed once, after all else"),
        ("crop+mixup(0)", "out of range"),
        (["crop", "mixpu"], "did you mean 'mixup'"),
        ([1], "data.augment"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(augment: object, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse(written(augment), catalog=CATALOG)


@pytest.mark.parametrize("augment", ["cropflip", ["crop", "mixpu"], [1], "crop+"])
def test_the_schema_refuses_unknown_names(augment: object) -> None:
    assert not VALIDATOR.is_valid(written(augment))


def test_where_a_set_comes_from_may_change() -> None:
    def identity(**fields: object) -> dict[str, Any]:
        return parse(document(data={"source": "cifar10", **fields}), catalog=CATALOG).identity()

    assert identity(root="a") == identity(root="b", options={"download": False})
    labelled = (identity(source="parquet", options={"label": label}) for label in "xy")
    assert next(labelled) != next(labelled)
