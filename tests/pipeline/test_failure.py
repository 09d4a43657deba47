"""Trials that fail, hang, or wait for their storage."""

import errno
import faulthandler
import multiprocessing
import os
import signal
import time
from collections.abc import Generator
from pathlib import Path

import pytest
import torch

from pdsearch.errors import StorageError, StorageFullError
from pdsearch.io.durable import PAUSES_S
from pdsearch.pipeline import failure
from pdsearch.pipeline import trial as patience
from pdsearch.pipeline.failure import (
    HUNG,
    Watchdog,
    failure_reason,
    is_infrastructure,
    is_same_error,
    lost_workers,
    write_log,
)
from pdsearch.pipeline.trial import patiently
from pdsearch.protocol import Event, Outcome, Progress, Report
from tests.patient import PATIENCE_S
from tests.pipeline.digits import ALONE, job, site
from tests.some import some


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no such layer"), "ValueError: no such layer"),
        (SystemExit(3), "it called sys.exit(3)"),
        (MemoryError(), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out of GPU memory"),
    ],
)
def test_a_reason_says_what_happened_and_where_the_rest_stands(
    error: BaseException, words: str, tmp_path: Path
) -> None:
    assert failure_reason(error, None, ALONE).startswith(words)
    log = tmp_path / "trials" / "search-00001.log"
    with pytest.raises(type(error)) as raised:
        raise error
    assert failure_reason(raised.value, log, ALONE).endswith("(traceback in trials/search-00001.log)")
    assert "test_failure.py" in log.read_text()


@pytest.mark.parametrize(
    "why",
    [
        lost_workers(4, "The node died"),
        "its worker was lost again and again",
        f"{HUNG} (stacks in trials/search-00001.log)",
        failure_reason(MemoryError(), None, ALONE),
        failure_reason(torch.OutOfMemoryError("CUDA out of memory"), None, ALONE),
        failure_reason(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), None, ALONE),
        failure_reason(OSError(errno.ESTALE, os.strerror(errno.ESTALE), "/mnt/data"), None, ALONE),
        failure_reason(ConnectionResetError(errno.ECONNRESET, "reset"), None, ALONE),
        "RuntimeError: [enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you",
        "AcceleratorError: CUDA error: out of memory",
        "data.augment: blur fails: OSError: [Errno 28] No space left on device",
        "a b.yaml:6:3 key distill.loss: m:l or student.model: m:n fails: OSError: [Errno 28] No space left on device",
    ],
)
def test_what_machines_do_is_told_from_what_a_trial_does(why: str) -> None:
    assert is_infrastructure(why)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory"),
        FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "x"),
        RuntimeError("CUDA error: device-side assert triggered"),
        SystemExit(3),
    ],
)
def test_what_a_trial_does_is_its_own(error: BaseException) -> None:
    assert not is_infrastructure(failure_reason(error, None, ALONE))


def test_numbers_and_the_name_of_a_log_make_no_other_error() -> None:
    one, other = (f"ValueError: {n} of 10 (traceback in trials/search-0000{n}.log)" for n in (1, 2))
    assert is_same_error(one, other)
    assert not is_same_error(one, one.replace("Value", "Type"))


def test_a_reason_and_its_log_hold_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "open-sesame")
    log = tmp_path / "search-00001.log"
    error = ValueError("refused: http://me:hush@host wants open-sesame")
    assert "ValueError: refused: http://me:***@host wants ***" in failure_reason(error, log, ALONE)
    assert "hush" not in log.read_text()
    assert "open-sesame" not in log.read_text()


def test_a_log_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_log(tmp_path / "file" / "log", "text")


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
    stacks = some(watchdog.verdict())
    assert "test_failure.py" in stacks
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


def refusing(monkeypatch: pytest.MonkeyPatch, *errors: StorageError) -> list[float]:
    """Let each run of a job end in the next of the errors, and then well; return the list of pauses to come."""
    coming = list(errors)

    def run_job(*_: object) -> Generator[Event, None, None]:
        yield Report(1, 1, 0.5, 1.0)
        if coming:
            raise coming.pop(0)
        yield Outcome("complete")

    monkeypatch.setattr(patience, "run_job", run_job)
    return []


def test_a_storage_that_does_not_answer_for_a_while_costs_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = refusing(monkeypatch, StorageError("stale handle"), StorageError("stale handle"))
    events = list(patiently(job(ALONE), site(tmp_path), sleep=slept.append))
    assert slept == [1.0, 2.0]
    assert events[-1] == Outcome("complete")
    notes = [event.note for event in events if isinstance(event, Progress)]
    assert notes == ["stale handle; trying again in 1 s", "stale handle; trying again in 2 s"]


def test_patience_ends_after_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = refusing(monkeypatch, *[StorageError("gone")] * 9)
    with pytest.raises(StorageError, match="gone"):
        list(patiently(job(ALONE), site(tmp_path), sleep=slept.append))
    assert slept == list(PAUSES_S)
    assert sum(slept) == 60


def test_waiting_makes_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = refusing(monkeypatch, StorageFullError("full"))
    with pytest.raises(StorageFullError):
        list(patiently(job(ALONE), site(tmp_path), sleep=slept.append))
    assert slept == []


@pytest.mark.parametrize("place", [*failure.CALLS, *failure.NETWORKS_ONLY])
def test_the_places_that_call_own_code_are_there(place: str) -> None:
    file, _, function = place.partition(" ")
    path = Path(failure.PACKAGE) / file
    assert path.exists()
    assert not function or f"def {function}(" in path.read_text("utf-8")
