import dataclasses

import pytest

from pdsearch.config.catalog import Selectable
from pdsearch.config.field_rules import ONCE_PER_STUDY, SECTIONS, rule_of, searchable_names, section_defaults
from pdsearch.specs import DataSpec, DistillSpec, PruneSpec, Recipe, StudentSpec, TeacherSpec
from tests.config.parts import CATALOG

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
