"""Models of torchvision can be named in a space; what torchvision does not have is refused."""

from typing import Any

import pytest

from pdsearch.config import Space, parse
from pdsearch.errors import ConfigError
from tests.config.documents import document


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
