"""Which trials may a search run, and how often?"""

from typing import Any

import pytest

from pdsearch.search import chances as module
from pdsearch.search.chances import Chance, chances, every_trial
from pdsearch.space import Space, parse
from tests.search.played import DOCUMENT

RATIO = DOCUMENT["space"]["prune.ratio"]


WITHOUT_EPOCHS = {**DOCUMENT["train"], "distill": {"lr": 0.1}}


def made(searched: dict[str, Any], trials: int = 6, **sections: Any) -> Space:
    return parse({**DOCUMENT, **sections, "space": searched, "search": {"trials": trials}})


def ratios(found: list[Chance]) -> dict[float | None, float]:
    shares: dict[float | None, float] = {}
    for chance in found:
        ratio = chance.spec.prune.ratio if chance.spec.prune else None
        shares[ratio] = shares.get(ratio, 0) + chance.share
    return shares


def test_conditions_count() -> None:
    found = chances(made({"prune.method": ["none", "magnitude"], "prune.ratio": RATIO}))
    assert ratios(found) == {None: 0.5, 0.2: 0.25, 0.36: 0.25}


def test_what_does_not_matter_to_cost_is_not_told_apart() -> None:
    searched = {
        "distill.temperature": [1, 2, 3],
        "train.distill.momentum": [0.1, 0.2],
        "prune.method": ["none"],
    }
    assert len(chances(made(searched))) == 1


def test_what_a_condition_names_is_told_apart() -> None:
    searched = {
        "distill.temperature": [1, 2, 3],
        "train.recover.momentum": {"choices": [0.5, 0.9], "when": {"distill.temperature": [1]}},
    }
    found = chances(made(searched, prune={"method": "magnitude", "ratio": 0.36}))
    assert sorted(chance.share for chance in found) == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 3])


def test_every_trial_of_a_small_space_is_listed() -> None:
    searched = {"prune.method": ["none", "magnitude"], "prune.ratio": RATIO, "distill.temperature": [1, 2]}
    found = every_trial(made(searched))
    assert found is not None
    assert len(found) == 6
    assert sum(chance.share for chance in found) == pytest.approx(1)
    assert every_trial(made(searched, trials=5)) is None
    assert every_trial(made({"distill.temperature": {"low": 1, "high": 2}}, trials=500)) is None


def test_one_trial_in_two_words_is_one() -> None:
    pruning = {"prune.method": ["none", "magnitude"], "prune.ratio": RATIO}
    found = every_trial(made(pruning, distill={"loss": "ce"}))
    assert found is not None
    assert len(found) == 1


def test_a_range_of_ratios_is_evenly_covered() -> None:
    found = chances(
        made(
            {"prune.ratio": {"low": 0.2, "high": 0.6}}, prune={"method": "magnitude", "schedule": "one_shot"}
        )
    )
    assert len(found) == module.QUANTILES
    values = [chance.spec.prune.ratio for chance in found if chance.spec.prune]
    assert min(values) == pytest.approx(0.205)
    assert max(values) == pytest.approx(0.595)
    assert all(chance.twin is not None and chance.twin != chance.spec for chance in found)
    # In whole rounds, any ratio is one of a few.
    rounds = chances(made({"prune.ratio": {"low": 0.2, "high": 0.6}}, prune={"method": "magnitude"}))
    assert all(chance.twin is None for chance in rounds)


def test_steps_of_a_range_are_its_values() -> None:
    searched = {"train.distill.epochs": {"low": 2, "high": 6, "step": 2}}
    found = chances(made(searched, train=WITHOUT_EPOCHS))
    assert sorted(chance.spec.distill.recipe.epochs for chance in found) == [2, 4, 6]
    assert all(chance.twin is None for chance in found)
    wide = chances(
        made({"train.distill.epochs": {"low": 1, "high": 1000, "log": True}}, train=WITHOUT_EPOCHS)
    )
    assert len(wide) == module.QUANTILES
    assert sorted(chance.spec.distill.recipe.epochs for chance in wide)[module.QUANTILES // 2] < 100


def test_steps_of_a_range_that_counts_for_some_choices_only() -> None:
    """It ended `plan` and `run` with a traceback."""
    pruning = {"prune.method": ["none", "magnitude"], "distill.temperature": {"low": 1, "high": 2}}
    pruning["prune.ratio"] = {
        "low": 0.2,
        "high": 0.6,
        "step": 0.2,
        "when": {"prune.method": ["magnitude"]},
    }
    found = ratios(chances(made(pruning)))
    assert set(found) == {None, 0.2, 0.4, 0.6}
    assert sum(found.values()) == pytest.approx(1)


def test_too_many_points_are_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_POINTS", 10)
    searched = {"teacher.seed": [*range(20)], "prune.method": ["none", "magnitude"], "prune.ratio": RATIO}
    space = made(searched, teacher={"model": "convnet_s"})
    found = chances(space)
    assert len(found) == module.DRAWS
    assert found == chances(space)
    assert ratios(found)[None] == pytest.approx(0.5, abs=0.05)
    assert ratios(found)[0.2] == pytest.approx(0.25, abs=0.05)
