from dataclasses import replace
from typing import Any

import pytest

from pdsearch.config import load, parse
from pdsearch.config.checks.feasibility import corners, networks, prunings
from pdsearch.errors import ConfigError
from pdsearch.specs import Params, PruneSpec
from pdsearch.user_code import Options
from tests.config.documents import SEARCHED, document, space
from tests.config.parts import CATALOG
from tests.config.test_schema import SHIPPED


def refuse_taylor_by_layer(spec: PruneSpec) -> list[ConfigError]:
    if (spec.method, spec.scope) == ("taylor", "layer"):
        return [ConfigError("taylor makes no sense by layer", hint="use global")]
    return []


def refuse_narrow(model: str, options: Params) -> None:
    if model == "convnet_s" and min(dict(options)["widths"]) < 4:
        raise ConfigError("too narrow")
    if model == "resnet8":
        raise ConfigError(f"not with {options}", where="options.depth", hint="another depth")


STRICT = replace(CATALOG, check_pruning=refuse_taylor_by_layer)
PRUNED = ["magnitude", "taylor"]


def test_all_prunings_of_a_space_are_seen_once() -> None:
    found = list(prunings(space({**SEARCHED, "distill.alpha": {"low": 0, "high": 1}})))
    assert [(p.method, p.ratio) for p in found] == [
        (method, ratio) for method in PRUNED for ratio in (0.36, 0.59)
    ]
    ends = prunings(space({"prune.ratio": {"low": 0.2, "high": 0.8}}, prune={"method": "random"}))
    assert [p.ratio for p in ends] == [0.2, 0.8]
    chain = {
        "student.model": ["convnet_s", "resnet8"],
        "distill.loss": {"choices": ["ce"], "when": {"student.model": ["resnet8"]}},
        "prune.scope": {"choices": ["layer"], "when": {"distill.loss": ["ce"]}},
    }
    found = list(prunings(space(chain, student=None, prune={"method": "random", "ratio": 0.5})))
    assert [p.scope for p in found] == ["global", "layer"]
    assert list(prunings(space({}))) == []


def test_all_networks_with_options_are_seen_once() -> None:
    searched = {
        **SEARCHED,
        "student.model": ["convnet_s", "resnet8"],
        "student.options.widths": {"choices": [[4], [8]], "when": {"student.model": ["convnet_s"]}},
    }
    found = space(searched, student=None, teacher={"model": "convnet_l", "options": {"widths": [16]}})
    assert [*networks(found)] == [
        ("teacher", "convnet_l", (("widths", (16,)),)),
        ("student", "convnet_s", (("widths", (4,)),)),
        ("student", "convnet_s", (("widths", (8,)),)),
    ]


@pytest.mark.parametrize(
    ("searched", "student", "where"),
    [
        ({}, {"model": "convnet_s", "options": {"widths": [3]}}, "student.options.widths"),
        ({"student.options.widths": [[4], [3]]}, {"model": "convnet_s"}, "space.student.options.widths"),
        ({}, {"model": "resnet8", "options": {"depth": 3, "inner": 4}}, "student.options.depth"),
        ({"student.options.depth": [3]}, {"model": "resnet8"}, "space.student.options.depth"),
        ({}, {"model": "resnet8", "options": {"width": 3, "inner": 4}}, "student.options"),
    ],
)
def test_a_model_that_cannot_be_built_so_is_refused_once(
    searched: dict[str, Any], student: dict[str, Any], where: str
) -> None:
    models = {**CATALOG.models, "resnet8": Options(others=True)}
    strict = replace(CATALOG, models=models, check_options=refuse_narrow)
    with pytest.raises(ConfigError, match=r"too narrow|not with") as caught:
        parse(document(searched, student=student), catalog=strict)
    assert caught.value.where == f"space key {where}"
    assert caught.value.hint


def test_a_method_that_does_not_go_with_the_rest_is_refused_once() -> None:
    scope = {"prune.scope": {"choices": ["global", "layer"], "when": {"prune.method": PRUNED}}}
    with pytest.raises(ConfigError) as caught:
        parse(document({**SEARCHED, **scope}), catalog=STRICT)
    assert str(caught.value) == (
        "space key space.prune.method: taylor makes no sense by layer\n  -> use global"
    )


def test_what_no_choice_reaches_is_not_refused() -> None:
    scope = {"prune.scope": {"choices": ["layer"], "when": {"prune.method": ["magnitude"]}}}
    assert len(parse(document({**SEARCHED, **scope}), catalog=STRICT).parameters) == 4


def test_registered_methods_are_asked() -> None:
    (digits,) = [path for path in SHIPPED if path.name == "digits.yaml"]
    ratio = "space.prune.ratio={choices: [0.5], when: {prune.method: grasp}}"
    with pytest.raises(ConfigError, match="grasp makes no sense with prune"):
        load(digits, ["space.prune.method=[none, grasp]", ratio])
    load(digits, ["space.prune.method=[none, grasp]", ratio, "prune.at=init"])


def test_corners_are_all_choices_and_ends_of_what_matters_and_the_middle_of_the_rest() -> None:
    searched = {"distill.alpha": {"low": 0.0, "high": 1.0}, "distill.temperature": {"low": 2.0, "high": 4.0}}
    found = corners(space(searched, prune={"method": "none"}), lambda p: p.name == "distill.alpha")
    assert [dict(trial.distill.params) for trial in found] == [
        {"alpha": alpha, "standardise": False, "temperature": 3.0} for alpha in (0.0, 1.0)
    ]
