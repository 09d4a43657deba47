"""Sections of a space file: the data, the parameters that are searched, own code."""

from typing import Any

import pytest

from pdsearch.config import Parameter, Space, parse
from pdsearch.errors import ConfigError
from tests.config.documents import document, space
from tests.config.test_schema import validator
from tests.own_code import Author


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
    validator().validate(written(augment))
    found = parse(written(augment))
    assert found.resolve(found.defaults()).data.augment == expected
    again = found.to_json()
    validator().validate(again)
    assert parse(again) == found


def test_combinations_can_be_searched() -> None:
    searched = {"data.augment": ["none", "crop_flip + cutmix(1.0)"]}
    validator().validate(document(searched))
    found = parse(document(searched))
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
        parse(written(augment))


@pytest.mark.parametrize("augment", ["cropflip", ["crop", "mixpu"], [1], "crop+"])
def test_the_schema_refuses_unknown_names(augment: object) -> None:
    assert not validator().is_valid(written(augment))


def test_where_a_set_comes_from_may_change() -> None:
    def identity(**fields: object) -> dict[str, Any]:
        return parse(document(data={"source": "cifar10", **fields})).identity()

    assert identity(root="a") == identity(root="b", options={"download": False})
    labelled = (identity(source="parquet", options={"label": label}) for label in "xy")
    assert next(labelled) != next(labelled)


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


def parsed(searched: dict[str, Any] | None = None, **sections: Any) -> Space:
    return parse(document(searched or {}, **sections))


def test_they_stand_where_ours_do_with_their_options_and_parameters(author: Author) -> None:
    name = author.write()
    spec = parsed(
        teacher={"model": f"{name}:Shaped", "options": {"anything": 3}},
        student={"model": f"{name}:flat", "options": {"width": 6}},
        distill={"loss": f"{name}:squared", "weight": 2},
        search={"trials": 1},
    ).resolve({})
    assert (spec.teacher.model, spec.teacher.options) == (f"{name}:Shaped", (("anything", 3),))
    assert (spec.student.model, spec.student.options) == (f"{name}:flat", (("width", 6),))
    assert (spec.distill.loss, spec.distill.params) == (f"{name}:squared", (("weight", 2.0),))


def test_they_are_searched_beside_ours(author: Author) -> None:
    module = author.write()
    method, loss = f"{module}:sized", f"{module}:squared"
    found = parsed(
        {
            "prune.method": ["none", "magnitude", method],
            "prune.ratio": {"choices": [0.36], "when": {"prune.method": ["magnitude", method]}},
            "prune.params.power": {"low": 0, "high": 2, "when": {"prune.method": [method]}},
            "distill.loss": ["kd", loss],
            "distill.weight": {"low": 0, "high": 10, "when": {"distill.loss": [loss]}},
        }
    )
    point = {"prune.method": method, "prune.ratio": 0.36, "prune.params.power": 2.0}
    spec = found.resolve({**point, "distill.loss": loss, "distill.weight": 3.0})
    assert spec.prune is not None
    assert (spec.prune.method, spec.prune.params) == (method, (("power", 2.0),))
    assert (spec.distill.loss, spec.distill.params) == (loss, (("weight", 3.0),))
    assert found.resolve({"prune.method": "none", "distill.loss": "kd"}).distill.loss == "kd"
    assert parse(found.to_json()) == found


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"student": {"model": "X:flat", "options": {"wdith": 3}}}, r"student\.options\.wdith"),
        ({"student": {"model": "X:flot"}}, r"student\.model: the module X has no 'flot'"),
        ({"teacher": {"model": "X:blind"}}, r"teacher\.model: X:blind cannot build a model"),
        ({"distill": {"loss": "X:short"}}, r"distill\.loss: X:short is no loss"),
        ({"distill": {"loss": "X:squared", "weight": 11}}, r"distill\.weight"),
        ({"distill": {"loss": "X:squared", "wieght": 1}}, r"did you mean 'weight'"),
        (
            {"distill": {"loss": "nowhere:f"}},
            r"distill\.loss: cannot import nowhere: there is no such module",
        ),
        ({"prune": {"method": "X:short", "ratio": 0.5}}, r"prune\.method: X:short is no pruning method"),
        ({"prune": {"method": "X:sized", "ratio": 0.5, "params": {"pwoer": 1}}}, r"did you mean 'power'"),
        ({"data": {"source": "X:flat"}}, "unknown data source 'X:flat'"),
    ],
)
def test_what_does_not_fit_is_refused_once(author: Author, sections: dict[str, Any], said: str) -> None:
    name = author.write()
    named = {
        section: {key: v.replace("X", name) if isinstance(v, str) else v for key, v in given.items()}
        for section, given in sections.items()
    }
    with pytest.raises(ConfigError, match=said.replace("X", name)) as caught:
        parsed(**named)
    assert str(caught.value).count(name if "nowhere" not in said else "nowhere") <= 2


def test_nothing_is_imported_that_is_no_part_of_a_trial(author: Author) -> None:
    name = author.write("raise SystemExit('it ran')\n")
    with pytest.raises(ConfigError):
        parsed(data={"source": f"{name}:f"}, teacher={"model": "convnet_l", "options": {"a": f"{name}:f"}})
