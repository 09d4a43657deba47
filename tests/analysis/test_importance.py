"""A parameter that decides is found, one that does nothing is not, and too little is said to be too little."""

import random

import pytest

from pdsearch.analysis.importance import importances
from pdsearch.analysis.study_table import Row
from tests.analysis.synthetic_studies import record, row_of
from tests.some import some


def rows(count: int, *, noise: float = 0.0, effect: float = 0.2) -> list[Row]:
    draw = random.Random(0)
    found = []
    for number in range(count):
        temperature, method = draw.uniform(1, 20), draw.choice(["none", "magnitude"])
        val = (
            0.6 + effect * (temperature > 8) + (0.02 if method == "none" else 0.0) + noise * draw.gauss(0, 1)
        )
        item = record("magnitude", val, kind="search", number=number)
        item["params"] = {
            "distill.temperature": temperature,
            "prune.method": method,
            **({"prune.ratio": draw.choice([0.36, 0.79])} if method == "magnitude" else {}),
            "teacher.seed": 0,
        }
        found.append(row_of(item))
    return found


def test_what_decides_is_first_and_what_never_varied_is_left_out() -> None:
    said = importances(rows(60))
    assert said.found[0].parameter == "distill.temperature"
    assert said.found[0].share > 0.8
    assert sum(item.share for item in said.found) == pytest.approx(1.0)
    assert "teacher.seed" not in {item.parameter for item in said.found}
    assert some(said.r2) > 0.8


def test_the_order_of_rows_does_not_matter() -> None:
    found = rows(40)
    assert importances(found) == importances(found[::-1])


def test_chance_alone_is_not_explained() -> None:
    said = importances(rows(40, noise=0.1, effect=0.0))
    assert not said.found
    assert said.reason == "accuracies of unseen trials cannot be told from the parameters"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (rows(19), "19 complete trials are too few"),
        ([row_of(record("magnitude", 0.7, kind="search", number=i)) for i in range(20)], "nothing varied"),
    ],
)
def test_what_cannot_be_told_is_said(found: list[Row], reason: str) -> None:
    said = importances(found)
    assert not said.found
    assert reason in str(said.reason)


def test_stopped_and_confirmed_trials_play_no_part() -> None:
    found, more = rows(30), []
    for number in range(30):
        more.append(row_of(record("magnitude", 0.1, kind="search", number=99 + number, state="stopped")))
        more.append(row_of(record("magnitude", 0.1, seed=number)))
    assert importances([*found, *more]) == importances(found)
