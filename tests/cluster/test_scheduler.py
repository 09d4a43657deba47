"""Tune starts what the searcher gave it wherever a worker is free, and ends with the scheduler."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pdsearch.cluster.messages import as_result
from pdsearch.protocol import Report
from tests.cluster.test_searcher import given, lose, scheduler, searcher, started, warm

pytestmark = pytest.mark.usefixtures("ray_session")


def test_no_trial_is_chosen_over_the_one_whose_worker_starts() -> None:
    assert scheduler(searcher(given(1))).choose_trial_to_run(None) is None


def test_a_loss_says_where_and_why() -> None:
    said: list[str] = []
    found = searcher(given(1))
    found.say = said.append
    warm(found, "a")
    started(found, "t")
    result = {**as_result([Report(1, 9, 0.5, 1.0)]), "node_ip": "10.0.0.3"}
    scheduler(found).on_trial_result(None, SimpleNamespace(trial_id="t"), result)
    lose(found, "t", "The actor is unavailable")
    words = "job-0 lost its worker on node 10.0.0.3; it goes on from its checkpoint in another"
    assert said == [f"{words}: The actor is unavailable"]


def test_a_worker_is_heard_to_start_a_trial() -> None:
    from pdsearch.cluster.tune_scheduler import Starts

    found = searcher(given(1))
    warm(found, "a")
    Starts(found).on_trial_start(0, [], SimpleNamespace(trial_id="a"))  # type: ignore[arg-type]
    assert found.workers.started("a")


TRACED = """Failure # 1 (occurred at 2026-11-28_23-40-10)
an earlier one
Failure # 1 (occurred at 2026-11-28_23-40-11)
\x1b[36mray::JobTrainable.reset()\x1b[39m (pid=1, ip=127.0.0.3)
  File "tune/trainable/trainable.py", line 674, in _setup_logdir
    os.environ.setdefault("TUNE_ORIG_WORKING_DIR", os.getcwd())
FileNotFoundError: [Errno 2] No such file or directory
"""
HINTED = """Failure # 1 (occurred at 2026-11-28_23-40-11)
\x1b[36mray::JobTrainable.__init__()\x1b[39m (pid=1, ip=127.0.0.3)
  File "pdsearch/training/device.py", line 99, in pick_device
pdsearch.errors.ConfigError: resources.gpu: a GPU is asked for, but torch sees none
  -> set resources.gpu to 0
"""
DEAD = """Failure # 1 (occurred at 2026-11-28_23-40-10)
The actor died because its node has died.
\tclass_name: JobTrainable
\tactor_id: e7
The actor's node was terminated unexpectedly.

"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TRACED, "FileNotFoundError: [Errno 2] No such file or directory"),
        (HINTED, "pdsearch.errors.ConfigError: resources.gpu: a GPU is asked for, but torch sees none"),
        (DEAD, "The actor died because its node has died. The actor's node was terminated unexpectedly."),
        ("", "Ray gave no reason"),
        (None, "Ray gave no reason"),
    ],
)
def test_what_ray_said_is_one_line(tmp_path: Path, text: str | None, reason: str) -> None:
    from pdsearch.cluster.tune_scheduler import reason_of

    if text is not None:
        (tmp_path / "error.txt").write_text(text)
    assert reason_of(SimpleNamespace(error_file=str(tmp_path / "error.txt"))) == reason  # type: ignore[arg-type]
