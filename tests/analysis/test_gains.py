"""Gains pair what belongs together: the same seeds, the named baseline, the same dense teacher."""

from typing import Any

import pytest

from pdsearch.analysis.gains import all_gains, gain_over_config, gain_over_group
from pdsearch.analysis.groups import Group, confirmed_groups
from tests.analysis.synthetic_studies import confirmed, study


def _groups(*records: dict[str, Any]) -> dict[str | None, Group]:
    return {
        group.first.prune_method or group.first.loss: group for group in confirmed_groups(study(records).rows)
    }


def test_pairs_are_by_seed() -> None:
    groups = _groups(*confirmed("magnitude", [0.7, 0.9]), *confirmed(None, [0.6, 0.5]))
    gain = gain_over_group(groups["magnitude"], groups["kd"], "val_accuracy")
    assert gain is not None
    assert gain.estimate.mean == pytest.approx((0.1 + 0.4) / 2)
    assert gain_over_group(groups["magnitude"], None, "val_accuracy") is None


def test_the_named_baseline_counts_and_no_other() -> None:
    groups = _groups(*confirmed("magnitude", [0.7]), *confirmed(None, [0.6]))
    partners = {
        (row.config, row.student_seed): row for group in groups.values() for row in group.rows.values()
    }
    group = groups["magnitude"]
    assert gain_over_config(group, "unpruned_config", partners, "val_accuracy") is not None
    assert gain_over_config(group, "alone_config", partners, "val_accuracy") is None


@pytest.mark.parametrize(
    ("section", "field", "value"), [("teacher", "model", "x"), ("data", "augment", "crop")]
)
def test_own_best_is_of_the_same_dense_teacher(section: str, field: str, value: str) -> None:
    other = confirmed(None, [0.6, 0.5])
    for item in other:
        item["spec"][section][field] = value
    best = list(_groups(*confirmed("magnitude", [0.7, 0.9]), *other).values())
    assert all_gains(best, best, "val_accuracy")["unpruned_best"] == {}


def test_an_accuracy_that_was_not_measured_pairs_with_nothing() -> None:
    records = [*confirmed("magnitude", [0.7, 0.9]), *confirmed(None, [0.6, 0.5])]
    records[-1]["test"] = None
    groups = _groups(*records)
    gain = gain_over_group(groups["magnitude"], groups["kd"], "test_accuracy")
    assert gain is not None
    assert (gain.estimate.n, gain.unpaired) == (1, 1)
