from pdsearch.space import Parameter
from pdsearch.space.conditions import in_order
from tests.space.documents import SEARCHED, space


def test_parents_come_first_and_the_file_order_never_matters() -> None:
    chain = {
        "c": Parameter("c", "int", low=1, high=2),
        "a": Parameter("a", "int", low=1, high=2, when={"b": (1,)}),
        "b": Parameter("b", "categorical", choices=(1, 2)),
    }
    assert [p.name for p in in_order(chain)] == ["b", "c", "a"]
    assert in_order(dict(reversed(chain.items()))) == in_order(chain)
    assert space(dict(reversed(SEARCHED.items()))) == space()


def test_condition_values_take_the_type_of_the_choices() -> None:
    searched = {
        "train.distill.lr": [1, 0.5],
        "train.distill.gamma": {"low": 0.1, "high": 0.5, "when": {"train.distill.lr": [1]}},
    }
    (_, gamma) = space(
        searched, train={"teacher": {"epochs": 2, "lr": 1}, "distill": {"epochs": 2}}
    ).parameters
    assert repr(gamma.when) == "{'train.distill.lr': (1.0,)}"
