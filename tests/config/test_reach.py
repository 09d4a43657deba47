from typing import Any

from pdsearch.config import Parameter
from pdsearch.config.checks.applicability import Reach
from tests.config.parts import CATALOG

METHOD = Parameter("prune.method", "categorical", choices=("none", "magnitude", "taylor"))
PRUNED = ("magnitude", "taylor")


def reach(*parameters: Parameter, **fixed: Any) -> Reach:
    return Reach({p.name: p for p in parameters}, {k.replace("_", "."): v for k, v in fixed.items()}, CATALOG)


def ratio(*methods: str) -> Parameter:
    return Parameter(
        "prune.ratio", "float", low=0.1, high=0.9, when={"prune.method": methods} if methods else {}
    )


def test_a_ratio_counts_where_something_is_pruned() -> None:
    assert reach(METHOD, ratio()).without_effect("prune.ratio") == ("prune.method", ("none",), PRUNED)
    assert reach(METHOD, ratio(*PRUNED)).without_effect("prune.ratio") is None
    assert reach(METHOD, ratio(*PRUNED)).missing("prune.ratio") is None
    assert reach(METHOD, ratio("taylor")).missing("prune.ratio") == "prune.method is 'magnitude'"
    assert reach(METHOD).missing("prune.ratio") == ""
    assert reach().missing("prune.ratio") is None


def test_a_parameter_counts_for_those_that_have_it() -> None:
    batches = Parameter("prune.params.batches", "int", low=1, high=4)
    assert reach(METHOD, batches).without_effect(batches.name) == (
        "prune.method",
        ("none", "magnitude"),
        ("taylor",),
    )
    margin = Parameter("distill.margin", "float", low=0.0, high=1.0)
    assert reach(margin, distill_loss="margin").without_effect("distill.margin") is None
    assert reach(margin).without_effect("distill.margin") == ("distill.loss", ("kd",), ())


def test_conditions_hold_along_chains() -> None:
    at = Parameter("prune.at", "categorical", choices=("trained", "init"), when={"prune.method": PRUNED})
    lr = Parameter("train.recover.lr", "float", low=0.1, high=1.0, when={"prune.at": ("trained",)})
    assert reach(METHOD, at, lr).without_effect(lr.name) is None
    assert reach(METHOD, at, lr).missing(lr.name) is None


def test_nothing_recovers_at_init_or_without_recovery() -> None:
    lr = Parameter("train.recover.lr", "float", low=0.1, high=1.0)
    assert reach(lr, prune_method="taylor", prune_at="init").without_effect(lr.name) == (
        "prune.at",
        ("init",),
        (),
    )
    found = reach(lr, prune_method="taylor", prune_recovery="none").without_effect(lr.name)
    assert found == ("prune.recovery", ("none",), ())
    assert reach(prune_method="taylor", prune_recovery="none").missing("train.recover.lr") is None
    assert reach(prune_method="taylor").missing("train.recover.lr") == ""


def test_the_number_of_combinations_is_bounded() -> None:
    many = [Parameter(f"data.options.x{i}", "categorical", choices=(1, 2)) for i in range(40)]
    last = Parameter("distill.alpha", "float", low=0.0, high=1.0, when={p.name: (1,) for p in many})
    assert len(list(reach(*many, last).situations("distill.alpha"))) == 1_000
