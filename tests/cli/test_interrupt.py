"""Does the first signal drain, the second end, and is everything as before afterwards?"""

import os
import signal
from collections.abc import Iterator

import pytest

from pdsearch.cli.interrupt import interruptible
from pdsearch.errors import Interrupted, PdsearchError, Terminated

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """What a process that goes on needs back."""
    before = [signal.getsignal(number) for number in NUMBERS]
    yield
    for number, handler in zip(NUMBERS, before, strict=True):
        signal.signal(number, handler)


class Draining:
    """Counts what was asked and said."""

    def __init__(self) -> None:
        self.drained, self.reached, self.said = 0, 0, ""

    def drain(self) -> None:
        self.drained += 1

    def say(self, text: str) -> None:
        self.said = text


def signalled(draining: Draining, *numbers: int) -> None:
    """Signal ourselves in an interruptible block; count what was reached."""
    with interruptible(draining.drain, draining.say):
        for number in numbers:
            os.kill(os.getpid(), number)
            draining.reached += 1


@pytest.mark.parametrize(
    ("number", "error", "code"), [(signal.SIGINT, Interrupted, 130), (signal.SIGTERM, Terminated, 143)]
)
def test_the_first_signal_drains_and_the_block_ends_by_itself(
    number: int, error: type[PdsearchError], code: int
) -> None:
    draining = Draining()
    with pytest.raises(error) as raised:
        signalled(draining, number)
    assert (draining.drained, draining.reached) == (1, 1)
    assert "save their progress" in draining.said
    assert raised.value.exit_code == code


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (signal.SIGINT, signal.SIGINT, 130),
        (signal.SIGTERM, signal.SIGTERM, 143),
        (signal.SIGINT, signal.SIGTERM, 130),
    ],
)
def test_the_second_signal_ends_at_once(first: int, second: int, code: int) -> None:
    draining = Draining()
    with pytest.raises(Interrupted, match="from their last checkpoint") as raised:
        signalled(draining, first, second)
    assert (draining.drained, draining.reached) == (1, 1)
    assert draining.said == "stopping at once"
    assert raised.value.exit_code == code


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
    with pytest.raises(Interrupted), interruptible(draining.drain, draining.say):
        signalled_while_it_cleans()
    assert cleaned == [True]
    os.kill(os.getpid(), signal.SIGINT)  # While Python exits.


def test_an_interruption_that_was_no_signal_is_passed_on() -> None:
    draining = Draining()
    with pytest.raises(KeyboardInterrupt), interruptible(draining.drain, draining.say):
        raise KeyboardInterrupt


@pytest.mark.parametrize("error", [None, ValueError])
def test_handlers_are_put_back(error: type[Exception] | None) -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    draining = Draining()
    if error is None:
        with interruptible(draining.drain, draining.say):
            pass
    else:
        with pytest.raises(error), interruptible(draining.drain, draining.say):
            raise error
    assert [signal.getsignal(number) for number in NUMBERS] == before
    assert draining.drained == 0
