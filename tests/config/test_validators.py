"""Texts and values that fields take."""

import dataclasses
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from pdsearch.config import Constraint, parse
from pdsearch.config import validators as words
from pdsearch.config.catalog import Selectable, registered_names
from pdsearch.config.field_rules import (
    ONCE_PER_STUDY,
    SECTIONS,
    field_rule,
    part_params,
    rule_of,
    searchable_names,
    section_defaults,
)
from pdsearch.config.ledger_url import read_ledger_url
from pdsearch.config.problems import Problems
from pdsearch.config.validators import duration_seconds, format_duration, read_constraints
from pdsearch.config.yaml_tree import Mark, from_plain
from pdsearch.errors import ConfigError
from pdsearch.specs import DataSpec, DistillSpec, PruneSpec, Recipe, StudentSpec, TeacherSpec
from tests.config.documents import document
from tests.config.parts import MarginParams, TaylorParams


@pytest.mark.parametrize(
    "value", ["runs/", "/mnt/shared", "a b", "s3-like/folder", "s3://bucket/runs", "gs://bucket"]
)
def test_folders_and_urls_are_storages(value: str) -> None:
    assert words.storage(value) == value


@pytest.mark.parametrize("value", ["ray://host", "s3://key:secret@bucket", "s3:///prefix", "file:///x", " "])
def test_anything_else_is_not(value: str) -> None:
    with pytest.raises(PydanticCustomError):
        words.storage(value)


@pytest.mark.parametrize("value", words.OWN_FOLDERS)
def test_a_study_is_no_folder_of_the_storage_s_own(value: str) -> None:
    assert words.study(f"{value}-2") == f"{value}-2"
    with pytest.raises(ConfigError, match=rf"key study: a storage has a folder {value} of its own"):
        parse(document(study=value))


def read(text: str) -> tuple[tuple[Constraint, ...], Problems]:
    problems = Problems("f")
    return read_constraints([text], from_plain({"constraints": [text]}, Mark("f")), problems), problems


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("student.params <= 15e6", Constraint("student.params", "<=", 15e6)),
        (" student.val_accuracy>=0.9 ", Constraint("student.val_accuracy", ">=", 0.9)),
    ],
)
def test_limits(text: str, limit: Constraint) -> None:
    assert read(text)[0] == (limit,)
    assert read(str(limit))[0] == (limit,)


@pytest.mark.parametrize("op", ["<", "==", "=<", "<= <="])
def test_other_comparisons_are_refused(op: str) -> None:
    assert "no constraint" in next(iter(read(f"student.params {op} 5")[1].found)).what


@pytest.mark.parametrize(
    ("bound", "why"),
    [
        ("many", "'many' is no number"),
        ("true", "'true' is no number"),
        (".inf", ".inf is not a finite number"),
        ("1e400", "1e400 is not a finite number"),
        ("9" * 30, "does not fit 64 bits"),
        ("9" * 60, "of this length"),
    ],
)
def test_a_limit_is_a_number_that_can_be_kept(bound: str, why: str) -> None:
    (problem,) = read(f"student.params <= {bound}")[1].found
    assert why in problem.what
    assert "15e6" in str(problem.advice)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("12h", 43_200), ("1h30m", 5_400), ("2d", 172_800), ("1d2h3m4s", 93_784)],
)
def test_times(text: str, seconds: int) -> None:
    assert duration_seconds(text) == seconds
    assert duration_seconds(format_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "12", "h", "0s", "1.5h", "30m1h", "-1h", "1h ", "999999999999s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time"):
        duration_seconds(text)


GOOD = [
    ("sqlite:////srv/x.db", "sqlite", Path("/srv/x.db"), "sqlite:////srv/x.db"),
    ("sqlite:///x.db", "sqlite", Path.cwd() / "x.db", f"sqlite:///{Path.cwd()}/x.db"),
    ("journal:////srv/a b.log", "journal", Path("/srv/a b.log"), "journal:////srv/a b.log"),
    ("postgresql://me@host:5433/db?sslmode=require", "postgresql", None, None),
    ("postgresql:///db?host=/run/postgresql", "postgresql", None, None),
]


@pytest.mark.parametrize(("text", "kind", "path", "whole"), GOOD)
def test_what_is_accepted(text: str, kind: str, path: Path | None, whole: str | None) -> None:
    assert read_ledger_url(text) == (kind, path, whole or text)
    assert read_ledger_url(read_ledger_url(text).text) == read_ledger_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x.db",
        "mysql://host/db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://x.db",
        "sqlite:///x.db?mode=ro",
        "postgresql://host",
        "postgresql:///",
        "postgresql://[host/db",
        "postgresql://host:port/db",
    ],
)
def test_what_is_not(text: str) -> None:
    with pytest.raises(ValueError, match=r"URL|names no"):
        read_ledger_url(text)


@pytest.mark.parametrize(
    "text", ["postgresql://me:hush@host/db", "postgresql://host/db?password=hush", "mysql://me:hush@host/db"]
)
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(document(search={"ledger": text, "trials": 3}))
    assert "hush" not in str(caught.value)
    assert "~/.pgpass" in str(caught.value)


def test_where_a_study_lives_may_change_and_is_written_down() -> None:
    beside = parse(document(search={"trials": 3}))
    elsewhere = parse(document(search={"trials": 3, "ledger": "sqlite:///x.db"}))
    assert beside.search.ledger == "journal"
    assert beside.identity() == elsewhere.identity()
    assert parse(elsewhere.to_json()) == elsewhere


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
    everything = Selectable(tuple(registered_names("prune.method")), tuple(registered_names("distill.loss")))
    found = searchable_names(everything)
    assert {"teacher.model", "train.distill.lr", "prune.params.batches", "distill.margin"} <= set(found)
    assert not ONCE_PER_STUDY & set(found)
    for name in found:
        assert rule_of(name, everything) is not None, name


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
    assert rule_of(name, Selectable(("taylor",), ("kd",))) is None


def test_parts_have_only_what_can_be_chosen() -> None:
    assert rule_of("distill.margin", Selectable(("none",), ("kd",))) is None
    assert rule_of("prune.params.batches", Selectable(("none", "random"), ("kd",))) is None


def test_nothing_is_converted_but_whole_numbers_to_decimal_ones() -> None:
    assert repr(field_rule(float).read(1)) == "1.0"
    for annotation, value in (
        (float, "1"),
        (int, 1.0),
        (int, True),
        (str, 1),
        (float | None, None),
        (float, float("nan")),
    ):
        with pytest.raises(ValidationError):
            field_rule(annotation).read(value)


def test_a_parameter_dataclass_is_a_schema() -> None:
    rules = part_params(MarginParams)
    assert {name: rule.kind for name, rule in rules.items()} == {"temperature": "float", "margin": "float"}
    assert rules["margin"].read(1) == 1.0
    for name, value in (("margin", -1), ("temperature", 0), ("temperature", "hot")):
        with pytest.raises(ValidationError):
            rules[name].read(value)
    assert part_params(TaylorParams)["layers"].read([1, 2]) == [1, 2]
