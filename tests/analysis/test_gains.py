"""Rows are grouped by configuration; gains pair the same seeds, the named baseline, the same dense teacher."""

from typing import Any

import pytest

from pdsearch.analysis.gains import Compared, Families, all_gains
from pdsearch.analysis.groups import Group, Metric, confirmed_groups, search_trials
from pdsearch.analysis.statistics import Gain
from pdsearch.objectives import Aims
from tests.analysis.synthetic_studies import answered, confirmed, record, study


def _groups(*records: dict[str, Any]) -> dict[str | None, Group]:
    return {
        group.first.prune_method or group.first.loss: group for group in confirmed_groups(study(records).rows)
    }


def _gains(best: list[Group], groups: list[Group] | None = None, metric: Metric = "val_accuracy") -> Families:
    return all_gains(Compared(best, groups or best, {}, {}, Aims()), metric)[0]


def _only(families: Families, question: str) -> Gain:
    (gain,) = families[question].values()
    return gain


@pytest.mark.parametrize(
    ("section", "field", "value"), [("teacher", "model", "x"), ("data", "augment", "crop")]
)
def test_own_best_is_of_the_same_dense_teacher(section: str, field: str, value: str) -> None:
    other = confirmed(None, [0.6, 0.5])
    for item in other:
        item["spec"][section][field] = value
    families = _gains([*_groups(*confirmed("magnitude", [0.7, 0.9]), *other).values()])
    assert not families["unpruned_best"]


def test_an_accuracy_that_was_not_measured_pairs_with_nothing() -> None:
    records = [*confirmed("magnitude", [0.7, 0.9]), *confirmed(None, [0.6, 0.5])]
    records[-1]["test"] = None
    gain = _only(_gains([*_groups(*records).values()], metric="test_accuracy"), "unpruned_same")
    assert (gain.estimate.n, gain.unpaired) == (1, 1)


def test_gains_of_test_accuracy_are_over_images_where_all_records_have_answers() -> None:
    records = [*confirmed("magnitude", [0.7, 0.9, 0.8]), *confirmed(None, [0.6, 0.5, 0.6])]
    for item in records:
        answered(item, item["values"]["student.val_accuracy"])
    gain = _only(_gains([*_groups(*records).values()], metric="test_accuracy"), "unpruned_same")
    assert gain.estimate.over == ("seed", "image")
    assert gain.estimate.mean == pytest.approx(0.7 / 3)
    records[0]["test_right"] = None
    without = _only(_gains([*_groups(*records).values()], metric="test_accuracy"), "unpruned_same")
    assert without.estimate.over == ("seed",)
    assert without.estimate.mean == pytest.approx(gain.estimate.mean)


def test_only_complete_confirmation_counts() -> None:
    rows = study(
        [record("magnitude", 0.7), record("taylor", 0.7, state="failed"), record("snip", 0.7, kind="search")]
    )
    (group,) = confirmed_groups(rows.rows)
    assert group.first.prune_method == "magnitude"


def test_search_trials_are_those_that_reached_an_epoch() -> None:
    states = ("complete", "stopped", "failed", "infeasible")
    rows = study(
        [record("magnitude", 0.7, kind="search", number=n, state=s) for n, s in enumerate(states)]
    ).rows
    (trials,) = search_trials(rows, Aims()).values()
    assert [row.state for row in trials] == ["complete", "stopped"]
