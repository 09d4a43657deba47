import copy
import pickle

import pytest

from pdsearch.config import Parameter, Search
from tests.config.documents import space


def test_a_parameter_counts_where_all_its_conditions_hold() -> None:
    parameter = Parameter("x", "int", low=1, high=2, when={"a": (1, 2), "b": ("c",)})
    assert parameter.active({"a": 2, "b": "c"})
    assert not parameter.active({"a": 3, "b": "c"})
    assert not parameter.active({"b": "c"})
    assert Parameter("x", "int", low=1, high=2).active({})


def test_a_space_is_frozen_hashable_and_travels() -> None:
    found = space()
    with pytest.raises(AttributeError):
        found.study = "other"  # type: ignore[misc]
    assert hash(copy.deepcopy(found)) == hash(found)
    assert pickle.loads(pickle.dumps(found)) == found


def test_what_is_left_out_has_its_default() -> None:
    found = space()
    assert found.search == Search(24, "tpe", 0, None, None, 10, None)
    assert [(o.metric, o.goal) for o in found.objectives] == [("student.val_accuracy", "maximize")]
    assert (found.confirm, found.precision, found.storage, found.constraints) == (None, "auto", "runs/", ())
    assert (found.resources.cpu, found.resources.gpu) == (1, 0.0)
