"""A person hears once that a storage is waited for, and once that it is back; hiccups are no news."""

import pytest

from pdsearch.io.objects import Objects
from pdsearch.io.refusals import Waiting, telling, waiting


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def watched() -> tuple[Waiting, Clock, list[str]]:
    clock, said = Clock(), list[str]()
    found = Waiting(clock)
    found.say = said.append
    return found, clock, said


def test_one_line_when_it_does_not_answer_and_one_when_it_does() -> None:
    found, clock, said = watched()
    for _ in range(5):
        clock.now += 4
        found.refused(clock.now - 4, "s3://bkt/x")
    assert said == ["waiting for the storage: it does not answer (s3://bkt/x)"]
    clock.now += 10
    for _ in range(3):
        found.answered()
    assert said[1:] == ["the storage answers again, after 30 s"]
    found.refused(clock.now - 4, "s3://bkt/y")
    assert len(said) == 3, "another time is another line"


def test_a_hiccup_is_no_news() -> None:
    found, clock, said = watched()
    for _ in range(9):
        found.refused(clock.now, "s3://bkt/x")
        clock.now += 2
        found.answered()
    assert said == []


def test_short_calls_that_fail_again_and_again_are_news() -> None:
    found, clock, said = watched()
    for _ in range(3):
        found.refused(clock.now, "s3://bkt/x")
        clock.now += 10
    assert len(said) == 1


def test_where_nobody_listens_nothing_is_said() -> None:
    found, clock, _ = watched()
    found.say = None
    found.refused(clock.now - 100, "s3://bkt/x")
    found.answered()


@pytest.mark.usefixtures("bucket")  # for its credentials
def test_a_call_tells_while_it_waits() -> None:
    said: list[str] = []
    gone = Objects("s3://bkt", "endpoint_override=127.0.0.1:1&scheme=http", patience_s=5.0)
    with telling(said.append), pytest.raises(Exception, match="does not answer"):
        gone.get("x")
    assert [line.partition(":")[0] for line in said] == ["waiting for the storage"]
    assert waiting.say is None
    waiting.answered()
