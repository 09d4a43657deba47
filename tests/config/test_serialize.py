import json
from typing import Any, cast

import pytest

from pdsearch.config import Space, diff, parse
from pdsearch.specs import Json
from tests.config.documents import SEARCHED, document, space
from tests.config.parts import CATALOG

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
    found = parse(document(**sections), catalog=CATALOG)
    again = parse(json.loads(json.dumps(found.to_json())), catalog=CATALOG)
    assert again == found
    assert again.to_json() == found.to_json()


def test_the_unpruned_space_is_a_space_file_too() -> None:
    dense = space().unpruned()
    assert parse(dense.to_json(), catalog=CATALOG) == dense


def test_defaults_are_written_out() -> None:
    written: Any = space().to_json()
    assert written["train"]["teacher"]["weight_decay"] == 0.0
    assert written["search"]["sampler"] == "tpe"
    assert written["confirm"] == "off"


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
        "distill.kd": {"alpha": 0.9, "standardise": False, "temperature": 4.0},
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
