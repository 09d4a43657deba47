import dataclasses
from typing import Any

import pytest
import torch

from pdsearch.errors import ConfigError
from pdsearch.pruning import PruningMethod, check
from pdsearch.pruning.registry import methods
from pdsearch.registry import NoParams
from pdsearch.specs import PruneSpec, Recipe

SPEC = PruneSpec(method="magnitude", ratio=0.36, recipe=Recipe(epochs=1, lr=0.1))


def refused(entry: PruningMethod | None = None, **changes: Any) -> str:
    spec = dataclasses.replace(SPEC, **changes)
    with pytest.raises(ConfigError) as caught:
        check(spec, entry or methods.get("magnitude"))
    return str(caught.value)


def limited(**traits: object) -> PruningMethod:
    return PruningMethod("limited", lambda *_: {"w": torch.ones(1)}, NoParams, **traits)  # type: ignore[arg-type]


@pytest.mark.parametrize("at", ["trained", "init"])
@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("recovery", ["lr_rewind", "finetune", "rewind", "none"])
def test_what_makes_sense_passes(at: str, scope: str, recovery: str) -> None:
    check(dataclasses.replace(SPEC, at=at, scope=scope, recovery=recovery), methods.get("magnitude"))


@pytest.mark.parametrize(("field", "word"), [("recovery", "rest"), ("scope", "block"), ("at", "birth")])
def test_unknown_words_are_refused_with_the_known_ones(field: str, word: str) -> None:
    assert f"unknown prune.{field} '{word}'" in refused(None, **{field: word})


def test_ratio_schedule_and_parameters_are_checked_too() -> None:
    assert "prune.ratio" in refused(ratio=1.0)
    assert "unknown prune.schedule" in refused(schedule="cubic")
    assert "unknown parameter 'power'" in refused(params=(("power", 2),))


def test_a_method_says_what_it_does_not_go_with() -> None:
    assert "use prune.at: init" in refused(limited(at=("init",)))
    assert "use prune.schedule: one_shot" in refused(limited(schedules=("one_shot",)))
    assert "limited makes no sense with prune.scope: global" in refused(limited(scopes=("layer",)))
    assert "use prune.scope: global or layer or sensitivity" in refused(methods.get("filter_l2"), scope="erk")
    assert "use prune.scope: layer" in refused(methods.get("nm"), scope="erk", ratio=0.5, schedule="one_shot")
    assert "use prune.scope: global or layer or erk" in refused(at="init", scope="sensitivity")
    assert "use prune.ratio: 0.5" in refused(limited(ratio=lambda _: 0.5))


def test_a_fixed_ratio_that_is_asked_for_passes() -> None:
    check(dataclasses.replace(SPEC, ratio=0.5), limited(ratio=lambda _: 1 - 2 / 4))


def test_a_control_that_would_not_train_is_refused() -> None:
    assert "nothing would be trained either" in refused(methods.get("train_on"), recovery="none")
    assert "prune.at: trained" in refused(methods.get("train_on"), at="init")
    check(SPEC, methods.get("train_on"))
