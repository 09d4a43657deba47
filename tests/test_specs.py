"""Specs become keys, texts and seeds that never depend on the process, and come back whole."""

import json
import subprocess
import sys
from dataclasses import dataclass, fields, is_dataclass
from itertools import starmap
from pathlib import Path
from typing import Any

import pytest

from pdsearch.records.codec import decode, encode
from pdsearch.specs import (
    AtInit,
    DataSpec,
    FineTune,
    Json,
    LrRewind,
    NoRecovery,
    PruneSpec,
    Recipe,
    Recovery,
    Rewind,
    TrialSpec,
    canonical_json,
    derive_seed,
    digest,
    keyed,
    later,
    located,
)
from tests.artifacts.test_keys import SPEC


@dataclass(frozen=True)
class Grown:
    """A spec with a field of its first version, one added later, and one that says where something lies."""

    ratio: float
    root: str = located("here")
    warmup: int = later(5, neutral=0)


def test_neutral_field_is_left_out_and_its_default_is_not() -> None:
    assert keyed(Grown(0.5, warmup=0)) == {"ratio": 0.5}
    assert keyed(Grown(0.5)) == {"ratio": 0.5, "warmup": 5}


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), Grown])
def test_unknown_types_raise(value: object) -> None:
    with pytest.raises(TypeError, match="key"):
        keyed({"a": [value]})


def test_marked_fields_are_looked_for_at_any_depth() -> None:
    deep = {"a": [(Grown(0.5, root="x", warmup=0), None)]}
    assert keyed(deep) == {"a": [[{"ratio": 0.5}, None]]}


def test_true_and_one_are_different_values() -> None:
    assert digest(keyed({"a": True})) != digest(keyed({"a": 1})) != digest(keyed({"a": 1.0}))


def test_a_record_older_than_a_field_comes_back_as_it_was_then() -> None:
    """A field that its writer did not know has the neutral value, so that the key is still the writer's."""
    text: dict[str, Any] = json.loads(json.dumps(encode(SPEC)))
    stripped = [(text[part], spec) for part, spec in vars(SPEC).items() if is_dataclass(spec)]
    stripped.append((text["distill"]["recipe"], SPEC.distill.recipe))
    for part, spec in stripped:
        for f in fields(spec):
            if "neutral" in f.metadata:
                del part[f.name]
    again = decode(TrialSpec, text)
    assert again.distill.recipe.ema == 0.0
    assert again == SPEC
    assert digest(keyed(again)) == digest(keyed(SPEC))


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        (None, "null", "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"),
        ({}, "{}", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
        (
            {"b": [1, 2.0, True, None, 1e-7, 1e22, -0.0], "a": "é"},
            '{"a":"\\u00e9","b":[1,2.0,true,null,1e-07,1e+22,-0.0]}',
            "3bb28ecb1c9ee9c083d84b0998abc0bc77133767e03374f402a7e931996071c2",
        ),
        (
            keyed(DataSpec(source="x")),
            '{"augment":"none","fingerprint":"","options":[],"split_seed":0,"subset":null,"val_fraction":0.1}',
            "7803a6664935a03eb899dda65194586933968b1fe2273aea3a3cc6ef8f7e4c23",
        ),
        (
            keyed(Recipe(epochs=2, lr=0.05)),
            '{"batch_size":128,"epochs":2,"gamma":0.1,"label_smoothing":0.0,"lr":0.05,"milestones":[],'
            '"momentum":0.9,"nesterov":true,"optimizer":"sgd","schedule":"step","select":"last",'
            '"warmup_epochs":0,"weight_decay":0.0}',
            "d98abb7011fe4ac715597166d772d1f8688c41221d00c4f9aa804fbbe9760d8f",
        ),
    ],
)
def test_texts_and_digests_are_pinned(value: Json, text: str, expected: str) -> None:
    """The digests are what `printf TEXT | sha256sum` says."""
    assert canonical_json(value) == text
    assert digest(value) == expected


def test_a_text_has_no_numbers_that_json_has_not() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


SEEDS: dict[tuple[int | str, ...], int] = {
    (): 2858069222894195974,
    (-1,): 7535183112812446347,
    (0, "init"): 5178188355558464636,
    (0, "order", 1): 1860338126330257371,
    (2**70, "views", "ü"): 7697121132814191052,
}


@pytest.mark.parametrize("parts", SEEDS)
def test_seeds_are_pinned(parts: tuple[int | str, ...]) -> None:
    assert derive_seed(*parts) == SEEDS[parts]


def test_a_seed_knows_where_a_part_ends_and_of_which_kind_it_is() -> None:
    ways: list[tuple[int | str, ...]] = [
        ("a", "b"),
        ("ab",),
        ("b", "a"),
        ("a", "b", ""),
        (1, 2),
        (12,),
        ("1", 2),
    ]
    assert len({derive_seed(*parts) for parts in ways}) == len(ways)


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_texts_and_seeds_are_the_same_in_every_process(hash_seed: str) -> None:
    code = "import json, tests.test_specs as t; print(json.dumps(t.everything()))"
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[1])}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert json.loads(answer.stdout) == everything()


def everything() -> list[Json]:
    return [canonical_json(encode(SPEC)), digest(keyed(SPEC)), *map(str, starmap(derive_seed, SEEDS))]


def test_what_follows_a_round_is_one_value() -> None:
    recipe = Recipe(2, 0.1)

    def after(**fields: Any) -> Recovery:
        return PruneSpec("magnitude", 0.5, recipe, **fields).after_round

    assert after() == LrRewind(recipe)
    assert after(recovery="finetune") == FineTune(recipe)
    assert after(recovery="rewind", rewind_epoch=3) == Rewind(recipe, 3)
    assert after(recovery="none") == NoRecovery()
    assert after(at="init", recovery="rewind") == AtInit()
    with pytest.raises(ValueError, match="nothing"):
        after(recovery="nothing")
