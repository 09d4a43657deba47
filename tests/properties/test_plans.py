"""Whatever space of the registered methods and losses is accepted can be planned, and is read back as it was."""

import dataclasses
import random
from typing import Any

import pytest

from pdsearch.config import parse
from pdsearch.config.checks.feasibility import corners
from pdsearch.distillation.registry import losses
from pdsearch.pruning.registry import methods
from pdsearch.search.planning.simulate import plan

RECIPE = {"epochs": 4, "lr": 0.1}
RATIOS: list[dict[str, Any]] = [
    {"choices": [0.36, 0.5]},
    {"low": 0.2, "high": 0.8, "step": 0.2},
    {"low": 0.1, "high": 0.7},
]


def form(source: random.Random, f: "dataclasses.Field[Any]") -> dict[str, Any]:
    """Some of a parameter's choices, or a part of its range."""
    about = f.metadata
    if about["choices"] is not None:
        return {"choices": source.sample(about["choices"], source.randint(1, len(about["choices"])))}
    low, high = about["low"], about["high"]
    if isinstance(f.default, int):
        return {"low": low, "high": high, "step": high - low}
    if source.random() < 0.5:
        return {"low": low, "high": high, "log": low > 0}
    # Steps such as 0.1 are not round in binary.
    step = source.choice([0.01, 0.1, 0.3])
    return {"low": low, "high": round(low + step * int(min(3, (high - low) / step)), 6), "step": step}


def parameters(
    source: random.Random, section: str, decider: str, parts: dict[str, type[Any]]
) -> dict[str, Any]:
    """Half of the parameters of some parts, each where a part has it; what two share stays as it is."""
    fields: dict[str, list[tuple[str, Any]]] = {}
    for part, params in parts.items():
        for f in dataclasses.fields(params):
            fields.setdefault(f.name, []).append((part, f))
    return {
        f"{section}.{name}": form(source, owners[0][1]) | {"when": {decider: [owners[0][0]]}}
        for name, owners in fields.items()
        if len(owners) == 1 and source.random() < 0.5
    }


def document(source: random.Random) -> dict[str, Any]:
    """A space that is right by how it is made."""
    at = source.choice(["trained", "init"])
    fit = [n for n in methods if at in methods.get(n).at and methods.get(n).ratio is None]
    chosen, taught = (
        source.sample(fit, source.randint(1, 3)),
        source.sample(sorted(losses), source.randint(1, 3)),
    )
    prune = {"at": at, "schedule": source.choice(["geometric", "linear", "one_shot"]), "rounds": 2}
    if prune["schedule"] != "linear":
        del prune["rounds"]
    searched: dict[str, Any] = {"prune.method": ["none", *chosen], "distill.loss": taught}
    searched["prune.ratio"] = source.choice(RATIOS) | {"when": {"prune.method": chosen}}
    searched |= parameters(source, "prune.params", "prune.method", {n: methods.get(n).params for n in chosen})
    searched |= parameters(source, "distill", "distill.loss", {n: losses.get(n).params for n in taught})
    recipes = {"teacher": RECIPE, "distill": RECIPE} | ({"recover": RECIPE} if at == "trained" else {})
    return {
        "data": {"source": "digits"},
        "teacher": {"model": "convnet_m"},
        "student": {"model": source.choice(["convnet_s", "from_teacher"])},
        "train": recipes,
        "prune": prune,
        "space": searched,
        "search": {"trials": source.randint(1, 30)},
        "confirm": {"teachers": 2, "seeds": 2, "teacher_seeds": source.randint(1, 3)},
    }


@pytest.mark.parametrize("seed", range(30))
def test_what_is_accepted_can_be_planned_and_is_read_back_as_it_was(seed: int) -> None:
    space = parse(document(random.Random(seed)))
    planned = plan(space)
    # Dense teachers are built first, whether or not a trial turns out to need them.
    before = sum(phase.with_reuse for phase in planned.phases if phase.name == "groundwork")
    assert 0 < planned.with_reuse <= planned.without_reuse + before
    assert sum(1 for _ in corners(space, lambda parameter: parameter.kind == "categorical")) > 0
    assert parse(space.to_json()) == space
