"""The first signal drains or ends, the second ends, so does the time, and all is as before afterwards."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pdsearch import signals
from pdsearch.errors import HungUp, Interrupted, PdsearchError, Terminated, Warned
from pdsearch.signals import Stop, stoppable
from tests.patient import PATIENCE_S

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
KINDS = [
    (signal.SIGINT, Interrupted, 130),
    (signal.SIGTERM, Terminated, 143),
    (signal.SIGHUP, HungUp, 129),
    (signal.SIGUSR1, Warned, 138),
]


class Draining:
    """Counts what was asked and said."""

    def __init__(self) -> None:
        self.drained, self.reached = 0, 0
        self.said: list[str] = []

    def drain(self) -> None:
        self.drained += 1


def signalled(draining: Draining, *numbers: int, pause_s: float = 0.0) -> None:
    """Signal ourselves in a block that drains; count what was reached."""
    with stoppable(draining.said.append) as stop, stop.draining(draining.drain, draining.said.append):
        for number in numbers:
            os.kill(os.getpid(), number)
            draining.reached += 1
            time.sleep(pause_s)


@pytest.mark.parametrize(("number", "error", "code"), KINDS)
def test_the_first_signal_drains_and_the_block_ends_by_itself(
    number: int, error: type[PdsearchError], code: int
) -> None:
    draining = Draining()
    with pytest.raises(error) as raised:
        signalled(draining, number)
    assert (draining.drained, draining.reached) == (1, 1)
    assert "save their progress" in draining.said[-1]
    assert raised.value.exit_code == code


@pytest.mark.parametrize(("number", "error", "code"), KINDS)
def test_what_is_no_trial_yet_ends_at_once(number: int, error: type[PdsearchError], code: int) -> None:
    reached: list[str] = []

    def loading() -> None:
        os.kill(os.getpid(), number)
        reached.append("the next step")

    with pytest.raises(error) as raised, stoppable(reached.append):
        loading()
    assert reached == []
    assert raised.value.exit_code == code


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (signal.SIGINT, signal.SIGINT, 130),
        (signal.SIGTERM, signal.SIGTERM, 143),
        (signal.SIGUSR1, signal.SIGTERM, 138),
        (signal.SIGINT, signal.SIGTERM, 130),
    ],
)
def test_the_second_signal_ends_at_once(
    first: int, second: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "_SAME_S", 0.0)
    draining = Draining()
    with pytest.raises(Interrupted, match="from their last checkpoint") as raised:
        signalled(draining, first, second)
    assert (draining.drained, draining.reached) == (1, 1)
    assert draining.said[-1] == "stopping at once"
    assert raised.value.exit_code == code


def test_a_signal_that_a_program_sends_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_SAME_S", 60.0)
    draining = Draining()
    with pytest.raises(Terminated) as raised:
        signalled(draining, signal.SIGTERM, signal.SIGTERM, signal.SIGHUP)
    assert (draining.drained, draining.reached) == (1, 3)
    assert "last checkpoint" not in str(raised.value)


def test_trials_that_do_not_end_in_time_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_DRAIN_WITHIN_S", 0.05)
    draining = Draining()
    with pytest.raises(Terminated, match="from their last checkpoint"):
        signalled(draining, signal.SIGTERM, pause_s=60)
    assert draining.said[-1] == "stopping at once"


STUCK = """
import threading, time
from pdsearch import signals
signals._DRAIN_WITHIN_S, signals._END_WITHIN_S = 0.1, 0.3
with signals.stoppable(print) as stop, stop.draining(lambda: None, print):
    print("begun", flush=True)
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass
"""


def test_a_process_that_hears_no_signal_ends_in_time_with_its_code() -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGUSR1)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 138


def test_a_signal_that_another_thread_receives_is_heard() -> None:
    draining = Draining()

    def send() -> None:
        sender = threading.Thread(target=signal.raise_signal, args=(signal.SIGTERM,))
        sender.start()
        sender.join()

    with (
        pytest.raises(Terminated),
        stoppable(draining.said.append) as stop,
        stop.draining(draining.drain, draining.said.append),
    ):
        send()
    assert draining.drained == 1


def test_a_hang_up_that_was_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # As nohup does.
    draining = Draining()
    signalled(draining, signal.SIGHUP)
    assert (draining.drained, draining.reached) == (0, 1)


def test_a_terminal_that_is_gone_does_not_keep_trials_from_draining() -> None:
    def gone(text: str) -> None:
        raise OSError(5, text)

    draining = Draining()
    with pytest.raises(HungUp), stoppable(gone) as stop, stop.draining(draining.drain, gone):
        os.kill(os.getpid(), signal.SIGHUP)
    assert draining.drained == 1


def test_impatience_does_not_cut_off_the_clean_up() -> None:
    cleaned: list[bool] = []

    def signalled_while_it_cleans() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned.append(True)

    draining = Draining()
    with (
        pytest.raises(Interrupted),
        stoppable(draining.said.append) as stop,
        stop.draining(draining.drain, draining.said.append),
    ):
        signalled_while_it_cleans()
    assert cleaned == [True]
    os.kill(os.getpid(), signal.SIGINT)  # While Python exits.


def test_an_interruption_that_was_no_signal_is_passed_on() -> None:
    with pytest.raises(KeyboardInterrupt), stoppable(print):
        raise KeyboardInterrupt


@pytest.mark.parametrize("error", [None, ValueError])
def test_all_is_as_before_afterwards(error: type[Exception] | None) -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    files, threads = os.listdir("/proc/self/fd"), threading.active_count()
    draining = Draining()
    if error is None:
        signalled(draining)
    else:
        with pytest.raises(error), stoppable(print):
            raise error
    assert [signal.getsignal(number) for number in NUMBERS] == before
    assert signal.set_wakeup_fd(-1) == -1
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == (len(files), threads)
    assert draining.drained == 0


def test_a_signal_that_comes_too_late_cuts_nothing_off() -> None:
    with stoppable(print) as stop:
        stop.end()  # The block has ended, and what it needed is put away.
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.received == []


def test_a_stop_that_nobody_asked_for_is_no_error() -> None:
    assert Stop(print).error() is None


def test_a_line_that_cannot_be_said_in_the_middle_of_another_is_written_all_the_same(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def writing(_text: str) -> None:
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    stop = Stop(writing)

    def draining() -> None:
        with stop.draining(lambda: None, writing):
            stop.hear(signal.SIGINT, None)

    with pytest.raises(KeyboardInterrupt):
        draining()
    assert "stopping: running trials" in capfd.readouterr().err
