"""Without validation images nothing chooses: a space is one configuration, or a list that is confirmed whole."""

import json
from typing import Any

import pytest

from pdsearch.config import Space, parse
from pdsearch.errors import ConfigError
from tests.config.documents import RECIPES, SEARCHED, space
from tests.config.parts import CATALOG

NONE_CUT = {"source": "digits", "val_fraction": 0}
LISTED = {**SEARCHED, "distill.temperature": [2.0, 4.0]}


def unvalidated(searched: dict[str, Any] | None = None, **sections: Any) -> Space:
    return space(searched, **{"data": NONE_CUT, "search": None, **sections})


def test_a_list_of_configurations_is_confirmed_whole() -> None:
    found = unvalidated(LISTED, confirm={"seeds": 3})
    assert not found.validated
    assert found.confirm is not None
    # Dense, and two methods at two ratios; each at two temperatures.
    assert (found.search.trials, found.confirm.teachers, found.confirm.seeds) == (10, 10, 3)


def test_one_configuration_may_run_once_or_be_confirmed() -> None:
    for confirm in (None, {"seeds": 2}):
        found = unvalidated({}, confirm=confirm)
        assert (found.validated, found.search.trials, found.parameters) == (False, 1, ())


def test_steps_are_a_list_too() -> None:
    found = unvalidated({"distill.temperature": {"low": 1, "high": 4, "step": 1}}, confirm={"seeds": 1})
    assert found.search.trials == 4


def test_the_whole_space_written_down_is_read_back() -> None:
    found = unvalidated(LISTED, confirm={"seeds": 3})
    again = parse(json.loads(json.dumps(found.to_json())), catalog=CATALOG)
    assert again == found


def test_with_validation_all_is_as_before() -> None:
    found = space()
    assert found.validated
    assert [goal.metric for goal in found.objectives] == ["student.val_accuracy"]


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a search": ({"search": {"trials": 24}}, "nothing is searched", "data.val_fraction"),
    "a range": ({"confirm": {"seeds": 3}}, "write choices for every parameter", "data.val_fraction"),
    "no seeds": ({"space": LISTED}, "add `confirm: {seeds: 3}`", "data.val_fraction"),
    "trials": (
        {"space": LISTED, "confirm": {"seeds": 3}, "search": {"trials": 5}},
        "the space has 10 configurations",
        "search.trials",
    ),
    "leaders": (
        {"space": LISTED, "confirm": {"seeds": 3, "teachers": 2}},
        "all 10 configurations are",
        "confirm.teachers",
    ),
    "an objective": (
        {"space": {}, "objectives": [{"metric": "student.val_accuracy"}]},
        "no validation images to measure it on",
        "objectives[0].metric",
    ),
    "stopping": (
        {"space": {}, "search": {"stop": {"halving": {"min_epochs": 2}}}},
        "stopping compares trials on validation images",
        "search.stop",
    ),
    "constraints": (
        {"space": {}, "constraints": ["student.params <= 1e6"]},
        "constraints choose among trials",
        "constraints",
    ),
    "the best epoch": (
        {"space": {}, "train": {**RECIPES, "distill": {"epochs": 3, "lr": 0.1, "select": "best_val"}}},
        "best_val selects on validation images",
        "train.distill.select",
    ),
    "a student without a shape": (
        {"space": {}, "student": {"model": "from_teacher"}, "confirm": {"seeds": 2}},
        "has no shape before a search trial gave it one",
        "student.model",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_choose_is_refused_with_a_key_and_a_hint(name: str) -> None:
    sections, message, key = REFUSED[name]
    searched = sections.get("space")
    with pytest.raises(ConfigError) as caught:
        unvalidated(searched, **{k: v for k, v in sections.items() if k != "space"})
    assert message in str(caught.value)
    assert f"key {key}" in str(caught.value)
    assert "->" in str(caught.value)
