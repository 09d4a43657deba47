from typing import Any

import pytest

from pdsearch.config import Space, parse
from pdsearch.config.catalog import choices_of
from pdsearch.config.yaml_tree import Mark, Node, from_plain
from pdsearch.errors import ConfigError
from tests.config.documents import document


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
    assert choices_of(root, "distill.loss", "kd") == found


def parsed(**sections: Any) -> Space:
    return parse(document({}, search=None, **sections))


def test_a_model_of_torchvision_may_stand_where_ours_do() -> None:
    spec = parsed(teacher={"model": "torchvision/resnet18", "options": {"weights": "DEFAULT"}}).resolve({})
    assert (spec.teacher.model, spec.teacher.options) == ("torchvision/resnet18", (("weights", "DEFAULT"),))


def test_it_may_be_searched() -> None:
    searched = {"teacher.model": ["torchvision/resnet18", "convnet_l"]}
    found = parse(document(searched, teacher=None))
    assert found.resolve({"teacher.model": "torchvision/resnet18"}).teacher.model == "torchvision/resnet18"
    with pytest.raises(
        ConfigError, match=r"teacher\.options\.weights has no effect where teacher.model is convnet_l"
    ):
        parse(document(searched, teacher={"options": {"weights": "DEFAULT"}}))


def test_which_weights_are_prunable_has_no_effect_where_channels_go() -> None:
    def warned(*methods: str) -> bool:
        pruned = {"prune": {"ratio": 0.36, "weights": "matrices", "recovery": "none"}}
        found = parse(document({"prune.method": [*methods]}, **pruned)).warnings
        return any(
            text.startswith("prune.weights has no effect: prune.method is filter_l1") for text in found
        )

    assert [warned("filter_l1", "filter_l2"), warned("magnitude", "filter_l1")] == [True, False]
    searched = {"prune.weights": ["layers", "matrices"]}
    with pytest.raises(ConfigError, match=r"prune\.weights has no effect where prune\.method is filter_l1"):
        parse(document(searched, prune={"method": "filter_l1", "ratio": 0.36}))


IDLE: dict[str, tuple[dict[str, Any], str]] = {
    "graphs": (
        {"resources": {"cuda_graphs": False}},
        "resources.cuda_graphs has no effect: resources.gpu is 0",
    ),
    "root": ({"data": {"root": "x"}}, "data.root has no effect: data.source is digits"),
    "cut": (
        {"data": {"split_seed": 3, "val_fraction": 0.0}, "search": {}},
        "data.split_seed has no effect: nothing is cut off",
    ),
    "gamma": ({"train": {"gamma": 0.5}}, "gamma has no effect: train.distill.milestones is empty"),
    "nesterov": (
        {"train": {"nesterov": False, "momentum": 0.0}},
        "nesterov has no effect: train.distill.momentum is 0",
    ),
    "norms": (
        {"train": {"decay_norms": False}},
        "decay_norms has no effect: train.distill.weight_decay is 0",
    ),
    "scope": (
        {"prune": {"method": "train_on", "ratio": 0.36, "scope": "layer", "exclude": ["a"]}},
        "prune.exclude, prune.scope have no effect: prune.method is train_on, and removes nothing",
    ),
    "round_to": (
        {"prune": {"method": "magnitude", "ratio": 0.36, "round_to": 8, "recovery": "none"}},
        "prune.round_to has no effect: prune.method is magnitude",
    ),
    "layers": (
        {"distill": {"teacher_layers": ["a"], "student_layers": ["b"]}},
        "distill.student_layers, distill.teacher_layers have no effect: distill.loss is kd, without features",
    ),
    "views": ({"distill": {"view_seed": 3}}, "distill.view_seed has no effect: data.augment is none"),
    "teacher": (
        {"distill": {"loss": "ce"}, "prune": {"method": "magnitude", "ratio": 0.36}},
        "prune.method has no effect: distill.loss is ce, without a teacher",
    ),
    "search": ({"search": {"trials": 1, "seed": 3}}, "search.seed has no effect: nothing is searched"),
}


@pytest.mark.parametrize(("given", "said"), IDLE.values(), ids=[*IDLE])
def test_what_has_no_effect_is_told_wherever_it_stands(given: dict[str, Any], said: str) -> None:
    recipe = {"epochs": 2, "lr": 0.1}
    sections = {
        **given,
        "data": {"source": "digits", **given.get("data", {})},
        "train": {"teacher": recipe, "recover": recipe, "distill": {**recipe, **given.get("train", {})}},
    }
    assert any(said in text for text in parse(document({}, **sections)).warnings)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torchvision/resnet19", "torchvision has no classifier 'resnet19'"),
        ("torchvision/", "torchvision has no classifier ''"),
        ("torchvision/raft_large", "torchvision has no classifier 'raft_large'"),
        ("timm/resnet19", "timm has no model 'resnet19'"),
        ("timm/resnet18.a1_in1k", "timm/resnet18.a1_in1k names weights beside the model"),
    ],
)
def test_what_torchvision_does_not_have_is_refused_with_the_reason(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parsed(teacher={"model": name})


def test_an_option_it_does_not_take_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"teacher\.options\.wdith"):
        parsed(teacher={"model": "torchvision/resnet18", "options": {"wdith": 3}})
