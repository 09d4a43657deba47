"""An option is judged by its builder's annotation; what an annotation does not tell is left to the builder."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter
from typing import Annotated, Any, List, Literal, Optional, Tuple, Union  # noqa: UP035 - own code may say so

import pytest
from pydantic import ValidationError

from pdsearch.config import parse
from pdsearch.config.catalog import model_options, part, registered_names
from pdsearch.config.field_rules import option_rule
from pdsearch.errors import ConfigError
from tests.config.documents import document
from tests.own_code import Author

NUMBERS = [3, 0.5, -1]
NO_LIST = [1, "ab", True]


@pytest.mark.parametrize(
    ("annotation", "kind", "good", "bad"),
    [
        (int, "int", [3, -1], [0.5, 3.0, "3", True, [3]]),
        (float, "float", NUMBERS, ["3", True, [3.0]]),
        (str, "str", ["a", "3"], [3, 0.5, True, ["a"]]),
        (bool, "bool", [True, False], [1, "yes", [True]]),
        (int | None, "int", [3], [0.5, "3"]),
        (Optional[float], "float", NUMBERS, ["3"]),  # noqa: UP045
        (Sequence[int], "list", [[1, 2], [3]], [*NO_LIST, [1, "b"], [1.5], [True]]),
        (Sequence[int] | None, "list", [[1, 2]], [*NO_LIST, ["b"]]),
        (list, "list", [[1, "b"]], NO_LIST),
        (List[float], "list", [[1, 0.5]], [*NO_LIST, ["b"]]),  # noqa: UP006
        (Tuple, "list", [[1], [1, "b"]], NO_LIST),  # noqa: UP006
        (Iterable[str], "list", [["a"]], [*NO_LIST, [1]]),
        (tuple[int, ...], "list", [[1], [1, 2, 3]], [*NO_LIST, ["b"]]),
        (tuple[int, int], "list", [[1, 2]], [*NO_LIST, [1, "b"]]),
        (list[list[int]], "list", [[[1], [2, 3]]], [*NO_LIST, [1], [["b"]]]),
        (Literal["pad", "none"], "str", ["pad"], ["pdad", 1, ["pad"]]),
        (Literal[2, 4], "int", [2], [3, "2"]),
        (int | str, "any", [1, "a"], [0.5, True, [1]]),
        (Union[int, Sequence[int]], "any", [1, [1, 2]], [0.5, "a", ["a"]]),  # noqa: UP007
        (Literal["auto"] | int, "any", ["auto", 3], ["other", 0.5]),
        (Annotated[int, "of channels"], "int", [3], ["3"]),
    ],
)
def test_an_annotation_says_what_an_option_may_be(
    annotation: Any, kind: str, good: list[Any], bad: list[Any]
) -> None:
    rule = option_rule([annotation])
    assert rule.kind == kind
    for value in good:
        read = rule.read(value)
        assert (read, repr(read)) == (value, repr(value))  # As written: a float would be another key.
    for value in bad:
        with pytest.raises(ValidationError):
            rule.read(value)


@pytest.mark.parametrize(
    "annotation",
    [Parameter.empty, Any, "Width", Callable[[int], int], Mapping[str, int], object, int | Any, [int]],
)
def test_what_an_annotation_does_not_tell_is_anything_an_option_can_be(annotation: Any) -> None:
    rule = option_rule([annotation])
    assert rule.kind == "any"
    for value in (1, 0.5, "a", True, [1, "a"]):
        assert rule.read(value) == value
    nothing: list[Any] = [None, {}, [], [None]]
    for value in nothing:
        with pytest.raises(ValidationError):
            rule.read(value)


def test_a_value_must_suit_every_model_that_can_be_chosen() -> None:
    assert option_rule([]).kind == option_rule([Any]).kind == "any"
    both = option_rule([float, int])
    assert both.kind == "int"
    assert both.read(3) == 3
    with pytest.raises(ValidationError):
        both.read(0.5)


WRONG = {"int": "x", "float": "x", "list": 16, "str": 3, "bool": 3}


def test_every_option_of_every_registered_model_is_judged() -> None:
    for model in registered_names("teacher.model"):
        options = model_options(model)
        assert not options.others
        for name, annotation in options.types.items():
            wrong = {"model": model, "options": {name: WRONG[option_rule([annotation]).kind]}}
            for section in ("teacher", "student"):
                with pytest.raises(ConfigError, match=r"expected .*, got ") as caught:
                    parse(document({}, search=None, **{section: wrong}))
                assert caught.value.where == f"space key {section}.options.{name}"


def test_every_option_of_every_registered_source_is_judged() -> None:
    judged = 0
    for source in registered_names("data.source"):
        for name, annotation in part("data.source", source).options.types.items():
            rule = option_rule([annotation])
            if rule.kind == "any":
                continue  # The version of one's own data: any word or number.
            wrong = {"source": source, "root": "birds", "options": {name: WRONG[rule.kind]}}
            with pytest.raises(ConfigError, match=r"expected .*, got ") as caught:
                parse(document({}, search=None, data=wrong))
            assert caught.value.where == f"space key data.options.{name}"
            judged += 1
    assert judged > len(registered_names("data.source"))


SEARCHED = "student.options.widths"


@pytest.mark.parametrize(
    ("searched", "sections", "what", "where"),
    [
        ({SEARCHED: [[4, 8], 8]}, {}, "expected a list, got 8", f"space.{SEARCHED}[1]"),
        ({SEARCHED: [[4, "8"]]}, {}, "expected a whole number, got '8'", f"space.{SEARCHED}[0][1]"),
        ({SEARCHED: {"choices": ["a"]}}, {}, "expected a list, got 'a'", f"space.{SEARCHED}.choices[0]"),
        ({SEARCHED: {"low": 4, "high": 8}}, {}, f"{SEARCHED} has no range", f"space.{SEARCHED}"),
        ({SEARCHED: 8}, {}, "expected a list, got 8", f"space.{SEARCHED}"),
        (
            {"student.model": ["convnet_s", "convnet_m"]},
            {"student": {"options": {"widths": 4}}},
            "expected a list, got 4",
            "student.options.widths",
        ),
        (
            {
                "student.model": ["resnet8", "torchvision/resnet18"],
                "student.options.weights": {
                    "choices": [1],
                    "when": {"student.model": ["torchvision/resnet18"]},
                },
            },
            {"student": None},
            "expected a word, got 1",
            "space.student.options.weights.choices[0]",
        ),
    ],
)
def test_what_is_searched_is_judged_as_well(
    searched: dict[str, Any], sections: dict[str, Any], what: str, where: str
) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        parse(document(searched, **sections))
    assert caught.value.where == f"space key {where}"


OWN = """
from __future__ import annotations
from torch import nn


def tiny(*, num_classes, channels, image_size, width: int = 4, dropout: float = 0.0, free=1, **more):
    return nn.Identity()


def loose(*, num_classes, channels, image_size, width: str | list[int] = "wide", device: Nowhere = None):
    return nn.Identity()
"""


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("tiny", {"width": "16"}, r"student\.options\.width: expected a whole number, got '16'"),
        ("tiny", {"dropout": [0.1]}, r"student\.options\.dropout: expected a number, got \[0.1\]"),
    ],
)
def test_code_of_one_s_own_is_judged_by_its_annotations(
    author: Author, model: str, options: dict[str, Any], said: str
) -> None:
    name = f"{author.write(OWN)}:{model}"
    with pytest.raises(ConfigError, match=said):
        parse(document({}, search=None, student={"model": name, "options": options}))


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("tiny", {"width": 16, "dropout": 1, "free": "x", "other": [1]}),
        ("loose", {"width": 16, "device": "cpu"}),  # An annotation that nobody can read says nothing.
    ],
)
def test_what_they_allow_is_handed_on_as_it_stands(
    author: Author, model: str, options: dict[str, Any]
) -> None:
    name = f"{author.write(OWN)}:{model}"
    spec = parse(document({}, search=None, student={"model": name, "options": options})).resolve({})
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    assert repr(dict(spec.student.options)) == repr(dict(sorted(given.items())))


@pytest.mark.parametrize(
    ("option", "low", "kind"),
    [("dropout", 0, "float"), ("width", 1, "int"), ("free", 0, "int"), ("free", 0.0, "float")],
)
def test_a_range_has_the_type_of_its_option_or_else_of_its_ends(
    author: Author, option: str, low: float, kind: str
) -> None:
    student = {"model": f"{author.write(OWN)}:tiny"}
    found = parse(document({f"student.options.{option}": {"low": low, "high": 3}}, student=student))
    assert [parameter.kind for parameter in found.parameters] == [kind]


LOAD = """
def load(*, size: int = 8, grey: bool = False, folds=1):
    return None


def free(**options):
    return None
"""


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        ("load", {"size": "8"}, r"data\.options\.size: expected a whole number, got '8'"),
        ("load", {"grey": "yes"}, r"data\.options\.grey: expected true or false, got 'yes'"),
        ("load", {"sise": 8}, r"data\.options\.sise: unknown key 'sise'\n  -> did you mean 'size'\?"),
        ("lod", {}, r"data\.options\.function: the module \w+ has no 'lod'"),
    ],
)
def test_a_function_of_one_s_own_that_reads_images_is_judged_alike(
    author: Author, function: str, options: dict[str, Any], said: str
) -> None:
    name = f"{author.write(LOAD)}:{function}"
    with pytest.raises(ConfigError, match=said):
        parse(
            document({}, search=None, data={"source": "callable", "options": {"function": name, **options}})
        )


@pytest.mark.parametrize(
    ("function", "options"),
    [
        ("load", {"size": 8, "grey": True, "folds": "x", "version": 3}),
        ("load", {"version": "3"}),
        ("free", {"size": "8", "other": [1]}),
    ],
)
def test_what_such_a_function_takes_is_handed_on(
    author: Author, function: str, options: dict[str, Any]
) -> None:
    given = {"function": f"{author.write(LOAD)}:{function}", **options}
    spec = parse(document({}, search=None, data={"source": "callable", "options": given})).resolve({})
    expected = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    assert dict(spec.data.options) == expected


@pytest.mark.parametrize(
    ("wrong", "said"), [(3, "expected a word, got 3"), ("load", "not of the form package.module:function")]
)
def test_such_a_function_is_named(wrong: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"data\.options\.function: .*{said}"):
        parse(document({}, search=None, data={"source": "callable", "options": {"function": wrong}}))
