"""A record becomes one row; what it lacks is None, what it must not lack is an error."""

from typing import Any

import pytest

from pdsearch.analysis.study_table import setting_of
from tests.analysis.synthetic_studies import record, row_of


def test_a_student_alone_has_no_teacher() -> None:
    row = row_of(record("alone", 0.5))
    assert (row.teacher_config, row.teacher_seed, row.prune_method, row.loss) == (None, None, None, "ce")


def test_a_trial_that_failed_early_has_no_values() -> None:
    item = record("magnitude", 0.5, state="failed")
    item |= {
        "reports": [],
        "values": {},
        "teacher": None,
        "student": {"artifact": None},
        "cost": {},
        "artifacts": [],
    }
    row = row_of(item)
    assert (row.val_accuracy, row.epochs, row.student_params, row.seconds, row.state) == (
        None,
        0,
        None,
        0.0,
        "failed",
    )


def test_a_value_stands_in_for_the_last_report_only_where_there_is_one() -> None:
    item = record("magnitude", 0.5)
    item["values"]["student.val_accuracy"] = 0.6
    assert row_of(item).val_accuracy == 0.6
    del item["values"]["student.val_accuracy"]
    assert row_of(item).val_accuracy == 0.5


NEEDED = ["id", "kind", "number", "key", "config", "state", "spec", "params", "values", "reports"]


@pytest.mark.parametrize("name", NEEDED)
def test_what_must_be_there(name: str) -> None:
    item = record("magnitude", 0.5)
    del item[name]
    with pytest.raises(ValueError, match=name):
        row_of(item)


@pytest.mark.parametrize("spec", [None, [], "x", {"teacher": 1}])
def test_a_part_of_another_type(spec: object) -> None:
    with pytest.raises(ValueError, match="spec"):
        row_of({**record("magnitude", 0.5), "spec": spec})


def test_seeds_trained_together_later_are_of_the_same_configuration() -> None:
    first, later = record("magnitude", 0.5), record("magnitude", 0.5)
    first["spec"]["distill"] |= {"seed": 1, "replicas": [1, 2]}
    later["spec"]["distill"] |= {"seed": 3, "replicas": []}
    old = record("magnitude", 0.5)
    old["spec"]["distill"].pop("replicas", None)
    assert len({row_of(item).setting for item in (first, later, old)}) == 1


def test_a_field_at_its_neutral_value_is_no_part_of_a_setting() -> None:
    spec: dict[str, Any] = {
        "data": {"source": "digits", "augment": "none"},
        "distill": {"loss": "kd", "seed": 1},
    }
    later = {"data": {**spec["data"], "test_fraction": 0.0}, "distill": {**spec["distill"], "replicas": []}}
    assert setting_of(later) == setting_of(spec)
    cut = {**later, "data": {**spec["data"], "test_fraction": 0.2}}
    assert setting_of(cut) != setting_of(spec)
