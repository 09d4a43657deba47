import os

import pytest

from pdsearch.cores import cores


def test_a_process_that_is_kept_to_some_cores_counts_those(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 3}, raising=False)
    assert cores() == 2


def test_where_that_is_unknown_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7


@pytest.mark.parametrize(("share", "counted"), [("2", 2), ("8", 3), ("0", 3), ("", 3)])
def test_a_job_of_slurm_counts_what_it_has_of_the_node(
    share: str, counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert cores({"SLURM_CPUS_ON_NODE": share}) == counted
