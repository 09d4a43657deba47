"""What holds for every spec: it comes back whole, and its key is the key of what counts in it."""

import json
from dataclasses import fields, is_dataclass, replace
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdsearch.records.codec import decode, encode
from pdsearch.specs import (
    DataSpec,
    DistillSpec,
    Params,
    PruneSpec,
    Recipe,
    StudentSpec,
    TeacherSpec,
    TrialSpec,
    canonical_json,
    derive_seed,
    digest,
    keyed,
)

TEXT, NUMBER, SEED = st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False), st.integers()
SCALAR = st.none() | st.booleans() | SEED | NUMBER | TEXT
VALUE = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
PARAMS = st.dictionaries(TEXT, VALUE, max_size=3).map(lambda given: tuple(sorted(given.items())))
PLAIN = {int: SEED, float: NUMBER, str: TEXT, bool: st.booleans(), NoneType: st.none(), Params: PARAMS}


def drawn(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type hint; of a spec, with every field drawn."""
    if is_dataclass(hint):
        kind: Any = hint
        return st.builds(kind, **{name: drawn(inner) for name, inner in get_type_hints(hint).items()})
    if get_origin(hint) is tuple and hint != Params:
        first, *rest = get_args(hint)
        if rest == [...]:
            return st.lists(drawn(first), max_size=3).map(tuple)
        return st.tuples(*map(drawn, (first, *rest)))
    return PLAIN[hint] if hint in PLAIN else st.one_of(*map(drawn, get_args(hint)))


TRIAL = drawn(TrialSpec)


@settings(max_examples=50)
@given(TRIAL)
def test_a_trial_comes_back_whole_through_text(spec: TrialSpec) -> None:
    again = decode(TrialSpec, json.loads(json.dumps(encode(spec))))
    assert again == spec
    assert hash(again) == hash(spec)
    # Equality takes 1, 1.0 and True for the same; texts and keys do not.
    assert encode(again) == encode(spec)
    assert canonical_json(encode(again)) == canonical_json(encode(spec))
    assert digest(keyed(again)) == digest(keyed(spec))


@settings(max_examples=50)
@given(TRIAL, TEXT, st.none() | TEXT)
def test_where_something_lies_never_counts_and_everything_else_does(
    spec: TrialSpec, source: str, root: str | None
) -> None:
    teacher = replace(spec.teacher, checkpoint=root)
    moved = replace(spec, data=replace(spec.data, source=source, root=root), teacher=teacher)
    assert digest(keyed(moved)) == digest(keyed(spec))
    other = replace(spec, data=replace(spec.data, fingerprint=f"{spec.data.fingerprint}0"))
    assert digest(keyed(other)) != digest(keyed(spec))


@pytest.mark.parametrize(
    "kind", [Recipe, TeacherSpec, PruneSpec, StudentSpec, DistillSpec, TrialSpec, DataSpec]
)
@settings(max_examples=20)
@given(spec=TRIAL)
def test_a_changed_field_changes_the_key(kind: type[Any], spec: TrialSpec) -> None:
    found: dict[type[Any], Any] = {type(part): part for part in (spec, *vars(spec).values())}
    found[Recipe] = spec.teacher.recipe
    if kind not in found:
        return
    for field in fields(kind):
        if field.metadata.get("keyed", True):
            changed = replace(found[kind], **{field.name: ["never drawn"]})
            assert digest(keyed(changed)) != digest(keyed(found[kind])), field.name


@given(JSON)
def test_a_value_is_its_text_and_its_own_key(value: Any) -> None:
    text = canonical_json(value)
    assert text.isascii()
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text
    assert canonical_json(keyed(value)) == text


@given(st.dictionaries(TEXT, SCALAR, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_names_never_counts(value: dict[str, Any], random: Any) -> None:
    names = list(value)
    random.shuffle(names)
    assert digest(keyed({name: value[name] for name in names})) == digest(keyed(value))


PARTS = st.lists(SEED | TEXT, max_size=4)


@given(PARTS, PARTS)
def test_a_seed_is_the_parts_and_nothing_else(one: list[int | str], other: list[int | str]) -> None:
    seed = derive_seed(*one)
    assert 0 <= seed < 2**63
    assert seed == derive_seed(*one)
    assert (seed == derive_seed(*other)) == (one == other)
