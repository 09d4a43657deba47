"""A space as it is stored and compared: its identity, and what only extends it."""

import json
from typing import Any, cast

import pytest

from pdsearch.config import Space, diff, extension, parse
from pdsearch.specs import Json
from tests.config.documents import SEARCHED, document, space

FULL: dict[str, Any] = {
    "study": "everything",
    "data": {"source": "parquet", "root": "somewhere", "subset": 500, "options": {"label": "fine"}},
    "teacher": {"model": "convnet_l", "seed": 3, "options": {"widths": [8, 16]}},
    "prune": {"schedule": "linear", "rounds": 2, "exclude": ["classifier.*"], "params": {"layers": [1]}},
    "distill": {"alpha": 0.5, "view_seed": 2},
    "search": {
        "trials": 24,
        "timeout": "1h30m",
        "concurrency": 2,
        "stop": {"metric": "student.val_accuracy", "halving": {"min_epochs": 3}},
    },
    "objectives": [{"metric": "student.val_accuracy"}, {"metric": "student.params"}],
    "constraints": ["student.params <= 15e6"],
    "confirm": {"teachers": 2, "seeds": 3},
    "resources": {"cpu": 2, "gpu": 0.5},
    "precision": "bf16",
    "storage": "elsewhere/",
}


@pytest.mark.parametrize(
    "sections", [{}, FULL, {"space": {}}, {"space": {"train.distill.milestones": [[5], [6, 7]]}}]
)
def test_the_canonical_form_is_a_space_file_of_the_same_space(sections: dict[str, Any]) -> None:
    found = parse(document(**sections))
    again = parse(json.loads(json.dumps(found.to_json())))
    assert again == found
    assert again.to_json() == found.to_json()


@pytest.mark.parametrize(
    "override",
    [
        "search.trials=5",
        "search.timeout=9h",
        "search.concurrency=3",
        "search.max_failures=3",
        "resources.cpu=4",
        "confirm={seeds: 9}",
        "storage=other/",
        "data.root=other",
        "study=other",
    ],
)
def test_what_may_change_on_resume_is_no_part_of_the_identity(override: str) -> None:
    assert space(None, override).identity() == space().identity()
    assert space(None, override) != space()


@pytest.mark.parametrize(
    "override",
    [
        "train.distill.lr=0.2",
        "distill.alpha=0.5",
        "search.seed=1",
        "search.stop={halving: {min_epochs: 3}}",
        "data.split_seed=1",
        "space.distill.temperature=[1, 2]",
        "precision=fp32",
        "constraints=[student.params <= 5]",
    ],
)
def test_all_else_is(override: str) -> None:
    assert space(None, override).identity() != space().identity()


def test_a_new_default_of_a_loss_is_another_identity() -> None:
    assert space().identity()["defaults"] == {
        "distill.kd": {"alpha": 0.95, "standardise": False, "temperature": 10.0},
        "prune.magnitude": {},
        "prune.taylor": {"batches": 4, "layers": [1, 2]},
    }


def test_a_field_added_later_is_another_identity_only_where_it_is_used() -> None:
    recipes: Any = space().identity()["train"]
    assert "ema" not in recipes["distill"]
    assert "decay_norms" not in recipes["distill"]
    assert "test_fraction" not in cast("dict[str, Any]", space().identity()["data"])
    changed = space(
        None, "train.distill.ema=0.99", "train.distill.decay_norms=false", "data.test_fraction=0.2"
    )
    assert lines(space(), changed) == [
        "data.test_fraction: (absent) -> 0.2",
        "train.distill.decay_norms: (absent) -> False",
        "train.distill.ema: (absent) -> 0.99",
    ]


def lines(a: Space, b: Space) -> list[str]:
    return diff(a.identity(), b.identity())


def test_a_difference_reads_as_one_line_each() -> None:
    assert lines(space(), space()) == []
    assert lines(space(), space(None, "train.distill.lr=0.05")) == ["train.distill.lr: 0.1 -> 0.05"]
    pruned = ["magnitude", "taylor", "random"]
    searched: dict[str, Any] = {**SEARCHED, "prune.method": ["none", *pruned]}
    searched["prune.ratio"] = {"choices": [0.36, 0.59], "when": {"prune.method": pruned}}
    before, after = ["none", "magnitude", "taylor"], ["none", "magnitude", "taylor", "random"]
    assert lines(space(), space(searched)) == [
        "defaults.prune.random: (absent) -> {}",
        f"space.prune.method.choices: {before} -> {after}",
        f"space.prune.ratio.when.prune.method: {before[1:]} -> {pruned}",
    ]
    assert "teacher.seed: 0 -> 1" in lines(space(), space(None, "teacher.seed=1"))
    assert "distill.alpha: (absent) -> 0.5" in lines(space(), space(None, "distill.alpha=0.5"))
    assert diff({"a": True}, {"a": 1}) == ["a: True -> 1"]


def test_a_retired_field_is_a_note_and_changes_nothing() -> None:
    plain = space(SEARCHED, confirm={"seeds": 3})
    for value in ("auto", True, False):
        old = space(SEARCHED, confirm={"seeds": 3, "together": value}, distill={"replicas": [1, 2]})
        said = [note for note in old.notes if "has no effect any more" in note]
        assert [note.split()[0] for note in said] == ["confirm.together", "distill.replicas"]
        assert old.to_json() == plain.to_json()


def test_a_study_that_was_begun_with_one_is_gone_on_with() -> None:
    identity = space(SEARCHED).identity()
    distill = identity["distill"]
    assert isinstance(distill, dict)
    began: dict[str, Json] = {**identity, "distill": {**distill, "replicas": [1, 2]}}
    assert diff(began, identity) == []


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
