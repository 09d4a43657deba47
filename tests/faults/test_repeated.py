"""What a killed worker costs is read from notes of steps: those that somebody else trains again, and their time."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import counting_student as counted
from benchmarks.counting_student import Counted
from benchmarks.kills import workers_of
from benchmarks.repeated import Kill, Note, repeated

DEAD, OTHER, LATER = 1, 2, 3


def steps(tag: str, pid: int, numbers: range, start: float, each: float = 1.0) -> list[Note]:
    return [Note(tag, number, start + i * each, pid) for i, number in enumerate(numbers)]


def test_steps_after_the_checkpoint_are_repeated() -> None:
    """Saved after step 6, killed in step 9: 7, 8 and 9 are begun again, by whoever comes first."""
    notes = steps("a", DEAD, range(1, 10), 100.0) + steps("b", OTHER, range(40, 60), 100.0, 0.5)
    kill = repeated([*notes, *steps("a", LATER, range(7, 20), 120.0)], DEAD, 108.5)
    assert kill == Kill(seconds=2.5, steps=3, away_s=11.5, step_s=1.0)


def test_without_a_checkpoint_all_of_it_is() -> None:
    notes = steps("a", DEAD, range(1, 4), 100.0) + steps("a", OTHER, range(1, 9), 130.0)
    assert repeated(notes, DEAD, 102.5) == Kill(seconds=2.5, steps=3, away_s=27.5, step_s=1.0)


def test_only_the_trial_that_was_being_trained_counts() -> None:
    notes = steps("done", DEAD, range(1, 9), 80.0) + steps("a", DEAD, range(1, 5), 100.0)
    again = steps("done", OTHER, range(1, 3), 110.0) + steps("a", OTHER, range(4, 9), 130.0)
    assert repeated([*notes, *again], DEAD, 103.25) == Kill(0.25, 1, 26.75, 0.25)


def test_nobody_has_gone_on_yet() -> None:
    notes = steps("a", DEAD, range(1, 9), 100.0) + steps("b", OTHER, range(1, 90), 100.0)
    assert repeated(notes, DEAD, 110.0) is None
    assert repeated(notes, LATER, 110.0) is None


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("ray::ResourceTrainable.train", True),
        ("ray::JobTrainable", True),
        ("ray::DashboardAgent", False),
        ("ray::IDLE", False),
    ],
)
def test_workers_are_known_by_what_ray_calls_them(title: str, found: bool) -> None:
    sleep = "import os,sys,time; print(os.getpid(), flush=True); time.sleep(60)"
    with subprocess.Popen([title, "-c", sleep], executable=sys.executable, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            assert (child.pid in [worker.pid for worker in workers_of(os.getpid())]) is found
        finally:
            child.kill()


def test_the_count_goes_with_the_weights_and_only_training_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counted, "__file__", str(tmp_path / "counted.py"))
    size: dict[str, Any] = {"num_classes": 3, "channels": 1, "image_size": 8, "width": 2}
    images = torch.zeros(2, 1, 8, 8)
    first, second = Counted(**size, tag=0.25), Counted(**size, tag=0.25)
    for _ in range(3):
        first(images)
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        second(images)
    second.eval()(images)
    second.train()(images)
    (notes,) = tmp_path.glob("steps-*.txt")
    assert [line.split()[:2] for line in notes.read_text().splitlines()] == [
        ["0.25", "1"],
        ["0.25", "2"],
        ["0.25", "3"],
        ["0.25", "4"],
    ]
