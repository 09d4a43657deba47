"""A kill at any stage of a trial repeats at most one checkpoint interval of steps."""

from functools import partial
from pathlib import Path

import pytest

from pdsearch.pipeline import stage_training as fitting
from pdsearch.protocol import Outcome
from pdsearch.training.checkpoint import Checkpoint
from pdsearch.training.fit import EpochRunner
from tests.pipeline.digits import MOVING, run, site, stored

INTERVAL = 7
"""Steps between two checkpoints; an epoch of these trials has ten."""


class Killed(BaseException):
    """What no handler catches."""


class Steps:
    """Counts the steps of all trainings, as a clock that any machine agrees with; ends the process at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done, self.last = 0, 10**9
        step = EpochRunner._step

        def counting(epochs: EpochRunner, lr: float) -> None:
            if self.done == self.last:
                raise Killed
            step(epochs, lr)
            self.done += 1

        monkeypatch.setattr(EpochRunner, "_step", counting)
        monkeypatch.setattr(fitting, "Checkpoint", partial(Checkpoint, clock=lambda: self.done))


def essence(outcome: Outcome) -> object:
    """What does not depend on when and how often it was run."""
    return outcome.state, dict(outcome.values), outcome.student


def test_a_trial_killed_in_any_stage_repeats_an_interval_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(monkeypatch)
    expected = run(MOVING, site(tmp_path / "whole", checkpoint_s=INTERVAL))[1]
    needed, whole = steps.done, stored(tmp_path / "whole")
    repeated = []
    for kill in range(1, needed, 3):
        folder, steps.done, steps.last = tmp_path / f"{kill}", 0, kill
        with pytest.raises(Killed):
            run(MOVING, site(folder, checkpoint_s=INTERVAL))
        steps.last = 10**9
        outcome = run(MOVING, site(folder, checkpoint_s=INTERVAL))[1]
        repeated.append(steps.done - needed)
        assert essence(outcome) == essence(expected)
        assert stored(folder) == whole
    assert needed > 60
    assert 0 <= min(repeated) <= max(repeated) <= INTERVAL
    assert max(repeated) > 0, "kills fell between checkpoints"
