"""Rows are grouped by teacher and configuration."""

from pdsearch.analysis.groups import confirmed_groups, role_of, search_trials
from pdsearch.objectives import Aims
from tests.analysis.synthetic_studies import confirmed, record, study


def test_only_complete_confirmation_counts() -> None:
    rows = study(
        [record("magnitude", 0.7), record("taylor", 0.7, state="failed"), record("snip", 0.7, kind="search")]
    )
    (group,) = confirmed_groups(rows.rows)
    assert group.first.prune_method == "magnitude"


def test_a_teacher_has_a_group_for_each_configuration() -> None:
    rows = study([*confirmed(None, [0.7, 0.8]), *confirmed(None, [0.6], temperature=8.0)]).rows
    assert sorted(len(group.rows) for group in confirmed_groups(rows)) == [1, 2]
    assert len({group.teacher for group in confirmed_groups(rows)}) == 1


def test_search_trials_are_those_that_reached_an_epoch() -> None:
    states = ("complete", "stopped", "failed", "infeasible")
    rows = study(
        [record("magnitude", 0.7, kind="search", number=n, state=s) for n, s in enumerate(states)]
    ).rows
    (trials,) = search_trials(rows, Aims()).values()
    assert [row.state for row in trials] == ["complete", "stopped"]


def test_roles() -> None:
    rows = study([record(method, 0.5) for method in ("magnitude", None, "alone")]).rows
    assert [role_of(row) for row in rows] == ["teacher", "unpruned", "alone"]
