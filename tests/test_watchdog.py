import faulthandler
import multiprocessing
import signal
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from pdsearch.pipeline.failure import Watchdog
from tests.patient import PATIENCE_S


def slow(*pauses: float) -> Generator[int, None, str]:
    for number, pause in enumerate(pauses):
        time.sleep(pause)
        yield number
    return "end"


def _hang(path: Path) -> None:
    with Watchdog(path, 0.3) as watchdog:
        list(watchdog.over(slow(0.0, 60.0)))


def test_a_trial_that_hangs_ends_its_process_and_leaves_its_stacks(tmp_path: Path) -> None:
    path = tmp_path / "progress" / "key.hang"
    process = multiprocessing.get_context("fork").Process(target=_hang, args=(path,))
    process.start()
    process.join(PATIENCE_S)
    # The stacks are walked without the interpreter's lock, and that may end the process by itself (watchdog.py).
    assert process.exitcode in (1, -signal.SIGSEGV)
    watchdog = Watchdog(path, None)
    stacks = watchdog.verdict()
    assert stacks is not None
    assert "test_watchdog.py" in stacks
    assert watchdog.verdict() is None


def test_events_and_the_result_pass_and_nothing_is_left(tmp_path: Path) -> None:
    results: list[str] = []

    def consume() -> Generator[int, None, None]:
        with Watchdog(tmp_path / "key.hang", 60.0) as watchdog:
            results.append((yield from watchdog.over(slow(0.0, 0.0))))

    assert list(consume()) == [0, 1]
    assert results == ["end"]
    assert list(tmp_path.iterdir()) == []


def test_the_time_of_the_consumer_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *_, **__: said.append("armed"))
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: said.append("cancelled"))

    def trial() -> Generator[None, None, None]:
        for _ in range(2):
            said.append("trial")
            yield

    with Watchdog(tmp_path / "key.hang", 2.0) as watchdog:
        for _ in watchdog.over(trial()):
            said.append("consumer")
    step = ["armed", "trial", "cancelled", "consumer"]
    assert said == [*step, *step, "armed", "cancelled"]


def test_closing_closes_the_trial(tmp_path: Path) -> None:
    closed: list[bool] = []

    def trial() -> Generator[int, None, None]:
        try:
            yield 1
        finally:
            closed.append(True)

    events = Watchdog(tmp_path / "key.hang", None).over(trial())
    next(events)
    events.close()
    assert closed == [True]


def test_an_empty_file_is_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "key.hang").write_text("")
    assert Watchdog(tmp_path / "key.hang", 1.0).verdict() is None
