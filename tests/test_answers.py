"""Answers survive the way into a record and back, and what is none is refused."""

import random

import numpy as np
import pytest

from pdsearch.answers import pack, unpack
from pdsearch.codec import DecodeError
from pdsearch.trial_record import TrialRecord, read_record
from tests.analysis.synthetic_studies import answered, record


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
