"""Teachers have short names, and never two the same one."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdsearch.analysis.display_names import WORDS
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.specs import PruneSpec, Recipe, TeacherSpec
from tests.analysis.synthetic_studies import confirmed, study


def _with(records: list[dict[str, Any]], config: str, **teacher: str) -> list[dict[str, Any]]:
    for item in records:
        item["teacher"] |= {"config": config, **teacher}
        item["id"] += config
    return records


def _labels(*records: list[dict[str, Any]]) -> list[str]:
    return [row.label for row in rank_teachers(study(item for group in records for item in group)).rows]


def test_short_names() -> None:
    found = _labels(confirmed("magnitude", [0.7]), confirmed(None, [0.6]), confirmed("alone", [0.5]))
    assert found == ["vgg19_bn magnitude 59%", "vgg19_bn unpruned", "student alone"]


def test_a_teacher_that_lost_nothing_is_named_by_its_rounds() -> None:
    records = _with(confirmed("magnitude", [0.7]), "t", method="train_on", sparsity=0.0, rounds=4)  # type: ignore[arg-type]
    assert _labels(records) == ["vgg19_bn train_on 4 rounds"]


def test_a_teacher_from_a_file_is_named_by_it() -> None:
    given = [
        changed(confirmed(method, [0.7]), name * 64, "teacher", checkpoint="there/best.pth")
        for method, name in ((None, "a"), ("magnitude", "b"))
    ]
    assert sorted(_labels(*given)) == ["vgg19_bn (best.pth) magnitude 59%", "vgg19_bn (best.pth) unpruned"]
    for item in given[0]:
        item["teacher"] |= {"sparsity": 0.4}
    assert "vgg19_bn (best.pth) 40% sparse as given" in _labels(*given)


def changed(records: list[dict[str, Any]], config: str, section: str, **fields: Any) -> list[dict[str, Any]]:
    for item in records:
        item["id"] += config
        item["spec"][section] |= fields
        item["teacher"]["config"] = config
    return records


@pytest.mark.parametrize(
    ("section", "one", "other", "texts"),
    [
        ("prune", {"recovery": "lr_rewind"}, {"recovery": "finetune"}, ["lr_rewind", "finetune"]),
        ("prune", {"params": [["power", 0.5]]}, {"params": [["power", 2.0]]}, ["power 0.5", "power 2"]),
        ("prune", {"ratio": 0.59}, {"ratio": 0.592}, ["ratio 0.59", "ratio 0.592"]),
        (
            "teacher",
            {"recipe": {"lr": 0.1, "epochs": 2}},
            {"recipe": {"lr": 0.2, "epochs": 2}},
            ["teacher lr 0.1", "teacher lr 0.2"],
        ),
        ("teacher", {"options": []}, {"options": [["width", 4]]}, ["", "width 4"]),
    ],
)
def test_equal_names_get_the_values_in_which_they_differ(
    section: str, one: dict[str, Any], other: dict[str, Any], texts: list[str]
) -> None:
    first = changed(confirmed("magnitude", [0.7]), "a" * 64, section, **one)
    second = changed(confirmed("magnitude", [0.6]), "b" * 64, section, **other)
    assert _labels(first, second) == [f"vgg19_bn magnitude 59% {text}".rstrip() for text in texts]


def test_of_many_differences_the_words_are_told() -> None:
    """Two losses share none of their parameters."""
    losses = {"kd": {"alpha": 0.9, "temperature": 4.0}, "dkd": {"target": 1.0, "other": 8.0, "hard": 1.0}}
    lines = [
        changed(confirmed(None, [0.7]), c * 64, "distill", loss=name, params=[*params.items()])
        for c, (name, params) in zip("ab", losses.items(), strict=True)
    ]
    for item in [item for line in lines for item in line]:
        item["values"].pop("student.val_accuracy")
        item["reports"] = [{**report, "val_accuracy": None} for report in item["reports"]]
    assert sorted(_labels(*lines)) == ["vgg19_bn unpruned dkd", "vgg19_bn unpruned kd"]


def test_of_very_many_differences_as_few_are_told_as_tell_the_lines_apart() -> None:
    many = {name: [0.1, 0.2] for name in ("lr", "gamma", "momentum", "peak", "ema")}
    one, other = (
        changed(
            confirmed("magnitude", [0.7 - n / 10]),
            c * 64,
            "prune",
            recipe={"epochs": 20, **{k: v[n] for k, v in many.items()}},
        )
        for n, c in enumerate("ab")
    )
    assert _labels(one, other) == [
        "vgg19_bn magnitude 59% recover ema 0.1",
        "vgg19_bn magnitude 59% recover ema 0.2",
    ]


def test_what_nothing_else_tells_apart_gets_its_hash() -> None:
    one, two = (_with(confirmed("magnitude", [v]), c * 64) for v, c in ((0.7, "a"), (0.6, "b")))
    assert [label.split()[-1] for label in _labels(one, two)] == ["aaaaaaaa", "bbbbbbbb"]


OTHERS: dict[str, list[Any]] = {
    "bool": [False, True],
    "int": [3, 4],
    "float": [0.1, 0.10000001],
    "str": ["one", "two"],
    "str | None": ["there/best.pth", "here/best.pth"],
    "tuple": [[], ["fc*", "stem"]],
    "Params": [[["power", 0.5]], [["power", 2.0], ["blocks", [1, 2]]]],
    "recovery": ["lr_rewind", "finetune"],
    "milestones": [[4], [4, 8]],
}
"""Two values of a type, or of a field that has few."""
UNTOLD = {"seed", "fingerprint"}
"""Teachers that differ in these alone are one, or were checked to be the same file."""


def _leaves(kind: type[Any], path: str) -> Iterator[tuple[str, str]]:
    for item in dataclasses.fields(kind):
        if item.type == "Recipe" or item.type is Recipe:
            yield from _leaves(Recipe, f"{path}.{item.name}")
        elif item.name not in UNTOLD:
            name = (
                "Params"
                if item.name in ("options", "params")
                else getattr(item.type, "__name__", str(item.type))
            )
            yield f"{path}.{item.name}", item.name if item.name in OTHERS else name


FIELDS = dict([*_leaves(TeacherSpec, "teacher"), *_leaves(PruneSpec, "prune"), ("data.augment", "str")])


@pytest.mark.parametrize("names", [[name] for name in FIELDS])
def test_a_teachers_name_says_in_which_field_it_differs(names: list[str]) -> None:
    _check_names(names)


@settings(max_examples=30)
@given(st.lists(st.sampled_from(sorted(FIELDS)), min_size=2, unique=True))
def test_a_teachers_name_is_never_a_hash(names: list[str]) -> None:
    _check_names(names)


def _check_names(names: list[str]) -> None:
    lines = [confirmed("magnitude", [0.7]), confirmed("magnitude", [0.6])]
    for number, line in enumerate(lines):
        changed(line, "ab"[number] * 64, "teacher")
        for item in line:
            for name in names:
                *path, field = name.split(".")
                place = item["spec"]
                for part in path:
                    place = place[part]
                place[field] = OTHERS[FIELDS[name]][number]
    labels = _labels(*lines)
    assert len({*labels}) == 2, labels
    assert not [label for label in labels if re.search(r"[ab]{8}$", label)], labels
    field = names[0].rpartition(".")[2]
    if len(names) == 1 and field not in ("model", "method", "options", "params") and names[0] not in WORDS:
        assert all(field in label for label in labels if label != BARE), labels


BARE = "vgg19_bn magnitude 59%"
