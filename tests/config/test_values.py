from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from pdsearch.config import Catalog
from pdsearch.config.field_rules import field_rule, part_params
from tests.config.parts import KdParams, TaylorParams


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (int, "int"),
        (float | None, "float"),
        (Annotated[float, Field(gt=0)] | None, "float"),
        (bool, "bool"),
        (Literal["a", "b"], "str"),
        (list[int], "list"),
        (object, "any"),
    ],
)
def test_kinds(annotation: object, kind: str) -> None:
    assert field_rule(annotation).kind == kind


def test_nothing_is_converted_but_whole_numbers_to_decimal_ones() -> None:
    assert repr(field_rule(float).read(1, Catalog())) == "1.0"
    for annotation, value in (
        (float, "1"),
        (int, 1.0),
        (int, True),
        (str, 1),
        (float | None, None),
        (float, float("nan")),
    ):
        with pytest.raises(ValidationError):
            field_rule(annotation).read(value, Catalog())


def test_a_parameter_dataclass_is_a_schema() -> None:
    rules = part_params(KdParams)
    assert {name: rule.kind for name, rule in rules.items()} == {
        "temperature": "float",
        "alpha": "float",
        "standardise": "bool",
    }
    assert rules["alpha"].read(1, Catalog()) == 1.0
    for name, value in (("alpha", 1.01), ("temperature", 0), ("standardise", "yes")):
        with pytest.raises(ValidationError):
            rules[name].read(value, Catalog())
    assert part_params(TaylorParams)["layers"].read([1, 2], Catalog()) == [1, 2]
