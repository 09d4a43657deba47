"""What may be added to a space whose study has begun: choices and wider ranges; all else is told with its reason."""

from typing import Any

import pytest

from pdsearch.config import extension

SPACE: dict[str, Any] = {
    "prune.method": {"choices": ["none", "magnitude"]},
    "prune.ratio": {"choices": [0.2, 0.36], "when": {"prune.method": ["magnitude"]}},
    "distill.temperature": {"low": 1.0, "high": 20.0, "log": True},
    "train.distill.epochs": {"low": 2, "high": 8, "log": False, "step": 2},
}
FIXED: dict[str, Any] = {
    "search": {"seed": 0},
    "defaults": {"prune.magnitude": {}},
    "distill": {"alpha": 0.5},
}


def changed(
    fixed: dict[str, Any] | None = None, **parameters: Any
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare the space with itself, some parameters replaced; `__` stands for the dot of a name."""
    searched = {**SPACE, **{name.replace("__", "."): value for name, value in parameters.items()}}
    after = {**FIXED, **(fixed or {}), "space": {k: v for k, v in searched.items() if v is not None}}
    found = extension({**FIXED, "space": SPACE}, after)
    return found.wider, found.refused


WIDER: list[dict[str, Any]] = [
    {"prune__method": {"choices": ["taylor", "none", "magnitude"]}},
    {"distill__temperature": {"low": 0.5, "high": 30.0, "log": True}},
    {"train__distill__epochs": {"low": 1, "high": 9, "log": False}},
    {"train__distill__epochs": {"low": 0, "high": 12, "log": False, "step": 1}},
]


@pytest.mark.parametrize("parameters", WIDER)
def test_more_choices_and_wider_ranges_are_added(parameters: dict[str, Any]) -> None:
    parameters = {name.replace("train__distill__", "train.distill."): v for name, v in parameters.items()}
    wider, refused = changed(**parameters)
    assert wider
    assert refused == ()


def test_a_choice_may_bring_its_condition_and_what_it_needs() -> None:
    wider, refused = changed(
        {
            "defaults": {"prune.magnitude": {}, "prune.taylor": {"batches": 1}},
            "distill": {"alpha": 0.5, "beta": 2},
        },
        prune__method={"choices": ["none", "magnitude", "taylor"]},
        prune__ratio={"choices": [0.2, 0.36], "when": {"prune.method": ["magnitude", "taylor"]}},
    )
    assert len(wider) == 4
    assert refused == ()
    assert changed({"distill": {"alpha": 0.5, "beta": 2}}) == ((), ("distill.beta: (absent) -> 2",))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"prune__method": {"choices": ["none"]}}, "magnitude cannot be taken away"),
    ({"distill__temperature": {"low": 2.0, "high": 30.0, "log": True}}, "wider, not narrower"),
    ({"distill__temperature": {"low": 1.0, "high": 20.0, "log": False}}, "its scale"),
    ({"distill__temperature": {"low": 1, "high": 30, "log": True}}, "kind of number"),
    ({"distill__temperature": {"choices": [1.0, 4.0]}}, "cannot be compared"),
    ({"distill__temperature": None}, "trials so far have values of it"),
    ({"distill__weight": {"low": 0.0, "high": 1.0, "log": False}}, "no trial so far has a value of it"),
    ({"train.distill.epochs": {"low": 1, "high": 9, "log": False, "step": 2}}, "its steps"),
    ({"train.distill.epochs": {"low": 2, "high": 8, "log": False, "step": 3}}, "its steps"),
    (
        {"prune__ratio": {"choices": [0.2, 0.36], "when": {"prune.method": ["none", "magnitude"]}}},
        "have none",
    ),
    ({"prune__ratio": {"choices": [0.2, 0.36], "when": {"prune.method": ["none"]}}}, "leave out"),
    ({"prune__ratio": {"choices": [0.2, 0.36]}}, "other parameters"),
    ({"fixed": {"search": {"seed": 1}}}, "search.seed: 0 -> 1"),
    ({"fixed": {"distill": {"alpha": 0.7}}}, "distill.alpha: 0.5 -> 0.7"),
]


@pytest.mark.parametrize(("parameters", "reason"), REFUSED)
def test_what_trials_so_far_may_not_fit_is_refused_with_the_reason(
    parameters: dict[str, Any], reason: str
) -> None:
    _, refused = changed(**parameters)
    assert len(refused) == 1
    assert reason in refused[0]
