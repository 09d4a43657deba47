from typing import Any

import pytest

from pdsearch.config import Parameter
from pdsearch.errors import ConfigError
from tests.config.documents import space


def only(name: str, form: Any, **sections: Any) -> Parameter:
    found = space({name: form}, **sections).parameters
    assert [parameter.name for parameter in found] == [name]
    return found[0]


def test_a_list_is_a_choice() -> None:
    assert only("teacher.seed", [0, 1]) == Parameter("teacher.seed", "categorical", choices=(0, 1))


def test_a_range_has_the_type_of_its_field() -> None:
    found = only("distill.temperature", {"low": 1, "high": 20, "log": True})
    assert found == Parameter("distill.temperature", "float", low=1.0, high=20.0, log=True)
    assert isinstance(found.low, float)
    found = only("train.teacher.batch_size", {"low": 32, "high": 128, "step": 32})
    assert found == Parameter("train.teacher.batch_size", "int", low=32, high=128, step=32)
    assert isinstance(found.step, int)


def test_choices_have_the_type_of_their_field() -> None:
    assert repr(only("train.distill.weight_decay", [0, 1e-4]).choices) == "(0.0, 0.0001)"


def test_lists_are_chosen_by_their_text() -> None:
    found = only("train.distill.milestones", [[5, 10], [10]])
    assert (found.choices, found.lists) == (("[5, 10]", "[10]"), True)


def test_a_single_value_is_fixed() -> None:
    found = space({"distill.temperature": 3})
    assert found.parameters == ()
    assert dict(found.fixed)["distill.temperature"] == 3.0


def test_a_condition_may_name_one_value() -> None:
    searched = {
        "prune.method": ["none", "taylor"],
        "prune.ratio": {"choices": [0.5], "when": {"prune.method": "taylor"}},
    }
    assert space(searched).parameters[1].when == {"prune.method": ("taylor",)}


def test_a_parameter_of_two_losses_is_bounded_by_those_it_counts_for() -> None:
    wide = {"low": 1.0, "high": 50.0}
    only_kd = {
        "distill.loss": ["kd", "margin"],
        "distill.temperature": {**wide, "when": {"distill.loss": ["kd"]}},
    }
    assert space(only_kd).parameters[1].high == 50.0
    with pytest.raises(ConfigError, match="at most 10"):
        space({"distill.loss": ["kd", "margin"], "distill.temperature": wide})


@pytest.mark.parametrize("value", [True, "3", [1], 0.05])
def test_values_of_losses_are_checked(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"distill\.temperature"):
        space({"distill.temperature": [value, 4]})


@pytest.mark.parametrize("form", [None, 5, [None], [[3], None], {"choices": [[3], None]}])
@pytest.mark.parametrize("name", ["train.distill.milestones", "train.distill.epochs", "prune.rewind_epoch"])
def test_a_wrong_entry_counts_as_absent_in_the_checks_of_the_whole(name: str, form: Any) -> None:
    form = "x" if form == 5 and "milestones" not in name else form
    with pytest.raises(ConfigError) as caught:
        space({name: form})
    assert f"space.{name}" in str(caught.value)


def test_condition_values_take_the_type_of_the_choices() -> None:
    searched = {
        "train.distill.lr": [1, 0.5],
        "train.distill.gamma": {"low": 0.1, "high": 0.5, "when": {"train.distill.lr": [1]}},
    }
    (_, gamma) = space(
        searched, train={"teacher": {"epochs": 2, "lr": 1}, "distill": {"epochs": 2}}
    ).parameters
    assert repr(gamma.when) == "{'train.distill.lr': (1.0,)}"
