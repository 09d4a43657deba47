"""Which seeds are trained as one network, and do those of earlier runs keep what they were run with?"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.search import together
from pdsearch.search.together import Choice, beside, can_be, confirmed
from pdsearch.specs import StudentSpec, TrialSpec
from pdsearch.stages import pace as pacing
from pdsearch.stages.keys import config_key
from pdsearch.stages.site import Site
from tests.search.played import space
from tests.stages.digits import RECIPE, SPEC, data, distilled, site

SHAPE = StudentSpec("convnet_s")


def always(_spec: TrialSpec, _shape: StudentSpec, _seeds: int) -> bool:
    return True


def never(_spec: TrialSpec, _shape: StudentSpec, _seeds: int) -> bool:
    return False


def record(seed: int, *replicas: int, kind: str = "confirm") -> dict[str, Any]:
    distill = {"seed": seed, "replicas": [*replicas]} if replicas else {"seed": seed}
    return {"kind": kind, "config": config_key(SPEC), "spec": {"distill": distill}}


def test_all_seeds_are_one_network_where_that_pays() -> None:
    assert beside(SPEC, SHAPE, (1, 2, 3), recorded={}, pays=always) == dict.fromkeys((1, 2, 3), (1, 2, 3))
    assert beside(SPEC, SHAPE, (1, 2), recorded={}, pays=never) == {1: (), 2: ()}
    assert beside(SPEC, SHAPE, (1,), recorded={}, pays=always) == {1: ()}


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ([record(2, 1, 2)], {1: (1, 2), 2: (1, 2), 3: (3, 4), 4: (3, 4)}),
        ([record(1), record(2)], {1: (), 2: (), 3: (3, 4), 4: (3, 4)}),
        ([record(1, 1, 2, 3)], {1: (1, 2, 3), 2: (1, 2, 3), 3: (1, 2, 3), 4: ()}),
        ([record(1, 1, 2, kind="search")], dict.fromkeys((1, 2, 3, 4), (1, 2, 3, 4))),
    ],
)
def test_more_seeds_later_repeat_nothing(
    before: list[dict[str, Any]], expected: dict[int, tuple[int, ...]]
) -> None:
    assert beside(SPEC, SHAPE, (1, 2, 3, 4), recorded=confirmed(before), pays=always) == expected


@pytest.mark.parametrize(
    ("spec", "may"),
    [
        (SPEC, True),
        (distilled(loss="ce", params=()), True),
        (distilled(loss="fitnet", params=()), False),
        (distilled(recipe=replace(RECIPE, ema=0.9)), False),
        (distilled(recipe=replace(RECIPE, select="best_val")), False),
        (replace(SPEC, precision="fp16"), False),
    ],
)
def test_losses_of_features_and_what_is_one_student_s_own_stay_alone(spec: TrialSpec, may: bool) -> None:
    assert can_be(spec) is may


@pytest.fixture
def here(tmp_path: Path) -> Site:
    return site(tmp_path)


def choice(at: Site, wanted: bool | str, said: list[str]) -> Choice:
    small = space(Path("unused"), confirm={"teachers": 1, "seeds": 3, "together": wanted})
    return Choice(small, lambda: data(SPEC, at), at, said.append)


def test_a_measurement_decides_once_and_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    auto = choice(site(tmp_path), "auto", said)
    assert not auto.known(SPEC, SHAPE, 3)
    monkeypatch.setattr(together, "PAYS", 0.01)
    assert auto.pays(SPEC, SHAPE, 3)
    assert auto.known(SPEC, SHAPE, 3)
    monkeypatch.setattr(together, "pace", None)  # Asked again it would fail.
    assert auto.pays(distilled(loss="ce", params=()), SHAPE, 3)
    assert len(said) == 1
    assert said[0].startswith("3 seeds of convnet_s are trained as one network: ")


def test_a_measurement_of_another_run_decides_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = choice(site(tmp_path), "auto", [])
    found = first.pays(SPEC, SHAPE, 3)
    monkeypatch.setattr(pacing._Case, "ratio", lambda *_: 0.0 if found else 9.0)
    assert choice(site(tmp_path), "auto", []).pays(SPEC, SHAPE, 3) is found
    monkeypatch.setattr(together, "PAYS", 1e9)
    assert not choice(site(tmp_path), "auto", []).pays(SPEC, SHAPE, 3)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_person_decides_without_a_measurement_but_not_what_cannot_be(
    here: Site, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    said: list[str] = []
    chosen = choice(here, wanted, said)
    assert chosen.pays(SPEC, SHAPE, 3) is chosen.known(SPEC, SHAPE, 3) is wanted
    assert not chosen.pays(SPEC, StudentSpec("shufflenetv2"), 3)
    monkeypatch.setattr(together, "possible", None)  # Tried again it would fail.
    assert chosen.pays(SPEC, SHAPE, 3) is wanted
    assert not chosen.pays(SPEC, StudentSpec("shufflenetv2"), 3)
    assert not chosen.pays(distilled(loss="fitnet", params=()), SHAPE, 3)
    assert said == []
