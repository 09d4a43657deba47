"""Over a table of real trials a search finds good ones, and stopping saves epochs."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from optuna.pruners import SuccessiveHalvingPruner

from benchmarks.replay import Trace, Way, replay
from benchmarks.stopping import NEAR
from benchmarks.table import read_table, write_table

TABLE = read_table()
TRIALS = 24
HALVING = Way("halving", stop={"halving": {"min_epochs": 6, "factor": 2}})


def play(way: Way, seed: int, workers: int = 2, trials: int = TRIALS) -> Trace:
    return replay(TABLE, way, seed=seed, workers=workers, enough=lambda trace: len(trace.played) >= trials)


@pytest.fixture(scope="module")
def stopped() -> list[Trace]:
    return [play(HALVING, seed) for seed in range(5)]


def test_the_table_holds_whole_trials() -> None:
    assert TABLE.curves.shape == (len(TABLE.points), TABLE.epochs)
    assert len(TABLE.points) >= 300
    assert np.all((TABLE.curves > 0) & (TABLE.curves <= 1))
    assert {"command", "seeds", "hardware", "versions", "recorded"} <= TABLE.about.keys()


def test_a_trial_stands_for_its_own_point() -> None:
    for row in range(0, len(TABLE.points), 50):
        near = TABLE.nearest(TABLE.points[row], 3)
        assert near[0] == row
        teacher = [TABLE.points[row].get(name) for name in ("prune.method", "prune.ratio")]
        assert all(
            [TABLE.points[n].get(name) for name in ("prune.method", "prune.ratio")] == teacher for n in near
        )


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "table.parquet")
    again = read_table(tmp_path / "table.parquet")
    assert (again.points, again.about, again.document) == (TABLE.points, TABLE.about, TABLE.document)
    assert np.array_equal(again.curves, TABLE.curves)


def test_stopping_saves_epochs_and_the_good_trials_are_found(stopped: list[Trace]) -> None:
    spent = sum(trace.played[-1].spent for trace in stopped)
    assert spent < 0.85 * len(stopped) * TRIALS * TABLE.epochs
    found = [trace.first(TABLE.good - NEAR) for trace in stopped]
    assert sum(index is not None for index in found) >= 3


def test_trials_are_stopped_where_optuna_s_own_rule_stops_them(stopped: list[Trace]) -> None:
    rule = partial(SuccessiveHalvingPruner, min_resource=6, reduction_factor=2)
    theirs = play(replace(HALVING, rule=rule), 0)
    assert theirs.decisions == stopped[0].decisions
    assert theirs.played == stopped[0].played
    assert any(stop for *_, stop in theirs.decisions)


def test_every_epoch_is_accounted_for(stopped: list[Trace]) -> None:
    for trace in stopped:
        assert trace.played[-1].spent >= sum(ended.epochs for ended in trace.played)
        assert [ended.time for ended in trace.played] == sorted(ended.time for ended in trace.played)
        rungs = {ended.epochs for ended in trace.played if ended.stopped}
        assert rungs <= {6, 12}
        for ended, record in zip(trace.played, trace.records, strict=True):
            assert [report.epoch for report in record.reports] == list(range(1, ended.epochs + 1))
            assert ended.value == TABLE.curves[ended.row, ended.epochs - 1]


def test_a_replay_is_the_same_again_and_workers_share_the_time() -> None:
    way = Way("random", "random")
    one, again, four = play(way, 0, 1), play(way, 0, 1), play(way, 0, 4)
    assert one.played == again.played
    assert one.played[-1].time == TRIALS * TABLE.epochs
    assert four.played[-1].time == TRIALS * TABLE.epochs / 4
