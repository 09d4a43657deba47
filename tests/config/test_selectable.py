from typing import Any

import pytest

from pdsearch.config.catalog import Selectable, choices_of, narrowed, selectable_in
from pdsearch.config.yaml_tree import Mark, Node, from_plain
from tests.config.documents import document
from tests.config.parts import CATALOG


def tree(value: object) -> Node:
    return from_plain(value, Mark("f"))


@pytest.mark.parametrize(
    ("given", "searched", "found"),
    [
        (None, None, ["kd"]),
        ("ce", None, ["ce"]),
        ("ce", ["margin", "kd", "margin"], ["margin", "kd"]),
        (None, "ce", ["ce"]),
        (None, {"choices": ["ce"]}, ["ce"]),
        (None, {"choices": ["ce"], "when": {"prune.method": "taylor"}}, ["ce", "kd"]),
        (None, {"choices": "ce"}, []),
        (None, {"low": 1}, []),
        (None, [3, ["ce"], "kd"], ["kd"]),
    ],
)
def test_what_a_field_can_be_is_read_off_any_document(given: Any, searched: Any, found: list[str]) -> None:
    sections = {"distill": {"loss": given}, "space": {"distill.loss": searched}}
    root = tree({section: said for section, said in sections.items() if None not in said.values()})
    assert choices_of(root, "distill", "loss", "kd") == found


def test_only_known_names_can_be_chosen() -> None:
    searched = {"prune.method": ["none", "taylor"], "student.model": ["resnet8", "unheard"]}
    found = selectable_in(tree(document(searched, student=None)), CATALOG)
    assert (found.methods, found.losses, found.sure_losses) == (("none", "taylor"), ("kd",), True)
    assert found.models == {"teacher.model": ("convnet_l",), "student.model": ("resnet8",)}
    found = selectable_in(tree({"distill": {"loss": "unheard"}}), CATALOG)
    assert (found.sure_losses, found.sure_methods) == (False, True)


def test_a_condition_narrows_what_a_parameter_counts_for() -> None:
    models = {"teacher.model": ("convnet_l",), "student.model": ("convnet_s", "resnet8")}
    whole = Selectable(("none", "taylor"), ("kd", "ce"), models)
    assert narrowed(tree({"low": 1}), whole) == narrowed(tree([1]), whole) == whole
    assert narrowed(tree({"when": 3}), whole) == whole
    when = {"prune.method": "taylor", "distill.loss": ["ce"], "student.model": ["resnet8"]}
    found = narrowed(tree({"when": when}), whole)
    assert found == Selectable(("taylor",), ("ce",), {**models, "student.model": ("resnet8",)})
