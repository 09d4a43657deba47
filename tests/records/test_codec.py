"""Dataclasses and answers as JSON."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from pdsearch.records.codec import DecodeError, decode, encode, pack, unpack
from pdsearch.records.trial_record import TrialRecord, read_record
from tests.analysis.synthetic_studies import answered, record


@dataclass(frozen=True)
class Inner:
    share: float
    later: int = field(default=5, metadata={"neutral": 0})


@dataclass(frozen=True)
class Whole:
    extensible: ClassVar[bool] = True
    name: str
    kind: Literal["a", "b"]
    inner: tuple[Inner, ...] = ()
    pairs: tuple[tuple[str, Any], ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    seen: bool | None = None


WHOLE = Whole("x", "b", (Inner(0.5, 1), Inner(1)), (("widths", (1, 2)),), {"a.b": 3}, seen=True)


def test_what_is_written_comes_back_and_is_written_as_it_was() -> None:
    value = encode(WHOLE)
    assert decode(Whole, value) == WHOLE
    assert encode(decode(Whole, value)) == value
    assert isinstance(decode(Whole, value).values["a.b"], int)


def test_what_is_missing_is_neutral_else_the_default() -> None:
    assert decode(Inner, {"share": 1}) == Inner(1, 0)
    assert decode(Whole, {"name": "x", "kind": "a"}) == Whole("x", "a")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": 3}, "name: expected a text, got 3"),
        ({"kind": "c"}, 'kind: expected one of a, b, got "c"'),
        ({"kind": ["a"]}, 'kind: expected one of a, b, got ["a"]'),
        ({"inner": {}}, "inner: expected a list, got {}"),
        ({"inner": [{}]}, "inner[0].share: is missing"),
        ({"inner": [None]}, "inner[0]: expected a mapping, got null"),
        ({"inner": [{"share": "abc"}]}, 'inner[0].share: expected a number, got "abc"'),
        ({"inner": [{"share": True}]}, "inner[0].share: expected a number, got true"),
        ({"inner": [{"share": float("inf")}]}, "inner[0].share: expected a finite number, got Infinity"),
        ({"inner": [{"share": 1, "later": 1.0}]}, "inner[0].later: expected a whole number, got 1.0"),
        ({"inner": [{"share": 1, "more": 1}]}, "inner[0].more: is no field that is known here"),
        ({"pairs": [["a"]]}, "pairs[0]: expected 2 values, got 1"),
        ({"values": {"a.b": None}}, "values.a.b: expected a number, got null"),
        ({"values": []}, "values: expected a mapping, got []"),
        ({"seen": 1}, "seen: expected true or false, got 1"),
        ({"name": ["x" * 99]}, f'name: expected a text, got ["{"x" * 55}...'),
    ],
)
def test_what_cannot_stand_there_is_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(Whole, {"name": "x", "kind": "a", **changed})
    assert str(caught.value) == message


def test_a_class_may_be_given_fields_that_only_newer_versions_know() -> None:
    assert decode(Whole, {"name": "x", "kind": "a", "newer": 1}) == Whole("x", "a")


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), ({1, 2}, TypeError)])
def test_what_has_no_json_is_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="JSON"):
        encode({"a": [value]})


@pytest.mark.parametrize("count", [1, 7, 8, 450, 10_000])
def test_they_survive_and_are_small(count: int) -> None:
    right = [random.Random(count + place).random() < 0.95 for place in range(count)]
    text = pack(right)
    found, bits = unpack(text)
    assert np.unpackbits(np.frombuffer(bits, np.uint8), count=found).tolist() == right
    assert len(text) < 24 + count / 4


@pytest.mark.parametrize("text", ["", "8", "8:", "8:!", "0:eJwDAAAAAAE=", "x:eJz7DwABAAEA", "9:eJz7DwABAAEA"])
def test_what_is_no_answers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        unpack(text)


def test_a_record_whose_answers_contradict_its_accuracy_is_refused() -> None:
    item = answered(record("magnitude", 0.7), 0.7)
    assert read_record(TrialRecord, item).test_right == item["test_right"]
    for wrong in ({"test": {"student.accuracy": 0.6}}, {"test_right": "3:eA=="}, {"test": None}):
        with pytest.raises(DecodeError, match="test_right"):
            read_record(TrialRecord, {**item, **wrong})
