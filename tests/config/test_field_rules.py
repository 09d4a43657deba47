import dataclasses
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from pdsearch.config import Catalog
from pdsearch.config.catalog import Selectable
from pdsearch.config.field_rules import (
    ONCE_PER_STUDY,
    SECTIONS,
    field_rule,
    part_params,
    rule_of,
    searchable_names,
    section_defaults,
)
from pdsearch.specs import DataSpec, DistillSpec, PruneSpec, Recipe, StudentSpec, TeacherSpec
from tests.config.parts import CATALOG, KdParams, TaylorParams

ALL = Selectable(("none", *CATALOG.methods), tuple(CATALOG.losses))
SPECS = {
    "data": DataSpec,
    "teacher": TeacherSpec,
    "student": StudentSpec,
    "train.teacher": Recipe,
    "train.recover": Recipe,
    "train.distill": Recipe,
    "prune": PruneSpec,
    "distill": DistillSpec,
}


@pytest.mark.parametrize("section", SPECS)
def test_sections_have_the_fields_of_the_specs(section: str) -> None:
    fields = {f.name for f in dataclasses.fields(SPECS[section])} - {
        "recipe",
        "fingerprint",
        "code",
        "replicas",
    }
    fields -= {"params"} if section == "distill" else set()
    assert set(SECTIONS[section].model_fields) == fields


@pytest.mark.parametrize("section", SPECS)
def test_sections_have_the_defaults_of_the_specs(section: str) -> None:
    for field in dataclasses.fields(SPECS[section]):
        name = f"{section}.{field.name}"
        if name in section_defaults() and field.default is not dataclasses.MISSING:
            assert section_defaults()[name] == field.default, name


def test_every_searchable_name_has_a_rule() -> None:
    names = searchable_names(CATALOG, ALL)
    assert {"teacher.model", "train.distill.lr", "prune.params.batches", "distill.margin"} <= set(names)
    assert not ONCE_PER_STUDY & set(names)
    for name in names:
        assert rule_of(name, CATALOG, ALL) is not None, name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "teacher",
        "teacher.lr",
        "train.lr",
        "train.teacher.lr.x",
        "search.trials",
        "student.options.a-b",
    ],
)
def test_nothing_else_has_one(name: str) -> None:
    assert rule_of(name, CATALOG, ALL) is None


def test_parts_have_only_what_can_be_chosen() -> None:
    assert rule_of("distill.margin", CATALOG, Selectable(("none",), ("kd",))) is None
    assert rule_of("prune.params.batches", CATALOG, Selectable(("none", "random"), ("kd",))) is None


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
