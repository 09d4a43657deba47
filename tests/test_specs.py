"""Specs become keys, texts and seeds that never depend on the process, and come back whole."""

import json
from dataclasses import dataclass

import pytest

from pdsearch.specs import (
    DataSpec,
    canonical_json,
    derive_seed,
    digest,
    keyed,
    later,
    located,
    spec_from_json,
    spec_to_json,
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


def test_located_field_is_left_out() -> None:
    assert keyed(Grown(0.5, root="there")) == keyed(Grown(0.5, root="elsewhere"))
    assert digest(keyed(DataSpec(source="a", root="x"))) == digest(keyed(DataSpec(source="b", root="y")))


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", float("nan"), float("inf"), object(), Grown, 1j])
def test_unknown_types_raise(value: object) -> None:
    with pytest.raises(TypeError, match="key"):
        keyed({"a": [value]})


def test_true_and_one_are_different_values() -> None:
    assert digest(keyed({"a": True})) != digest(keyed({"a": 1})) != digest(keyed({"a": 1.0}))


def test_specs_come_back_whole() -> None:
    assert spec_from_json(json.loads(json.dumps(spec_to_json(SPEC)))) == SPEC


def test_canonical_text() -> None:
    assert canonical_json({"b": [1, 2.0], "a": "é"}) == '{"a":"\\u00e9","b":[1,2.0]}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


def test_seeds_are_pinned_and_depend_on_every_part() -> None:
    assert derive_seed(0, "init") == 5178188355558464636
    seeds = {
        derive_seed(*parts) for parts in ((0, "order", 1), (0, "order", 2), (1, "order", 1), (0, "views", 1))
    }
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
