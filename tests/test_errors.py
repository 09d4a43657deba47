"""Errors a person can cause, and secrets in them."""

import copy

import pytest

from pdsearch import errors
from pdsearch.errors import ConfigError, FailureLimitError, PdsearchError, TrialError, redacted

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PdsearchError)]


def test_a_message_says_what_where_and_what_to_do() -> None:
    error = ConfigError("unknown key 'rato'", where="space.yaml:3:5", hint="did you mean 'ratio'?")
    assert str(error) == "space.yaml:3:5: unknown key 'rato'\n  -> did you mean 'ratio'?"
    assert str(ConfigError("odd")) == "odd"


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_the_way_between_processes(kind: type[PdsearchError]) -> None:
    error = kind("what", where="where", hint="hint")
    other = copy.copy(error)  # asks __reduce_ex__, like whatever carries it between processes
    assert type(other) is kind
    assert (other.what, other.where, other.hint, str(other)) == ("what", "where", "hint", str(error))


def test_a_message_that_quotes_another_says_what_to_do_once() -> None:
    inner = TrialError("it diverged", hint="lower the rate")
    assert str(FailureLimitError(f"3 failed; the last one: {inner}", hint="try again")) == (
        "3 failed; the last one: it diverged\n  -> lower the rate; try again"
    )
    assert str(FailureLimitError(f"3 failed: {inner}", hint="lower the rate")).count("lower the rate") == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hush@host/db is away", "postgresql://me:***@host/db is away"),
        ("s3://AKIA:hu/sh@b", "s3://AKIA:hu/sh@b"),
        ("https://:hush@host and http://a:hush@b", "https://:***@host and http://a:***@b"),
        ("at 12:30 x@y, http://host:80/a@b", "at 12:30 x@y, http://host:80/a@b"),
        ("gs://anonymous@bucket, s3://hush@bucket/x", "gs://***@bucket, s3://***@bucket/x"),
        ("postgresql://me@host/db stays", "postgresql://me@host/db stays"),
        (
            "2 of 3: cannot read s3://a:b@bucket/x?secret=y&region=z (see https://host/path?q=1), ann@example.org",
            "2 of 3: cannot read s3://***@bucket/x?secret=***&region=z (see https://host/path?q=1), ann@example.org",
        ),
        ("https://host/x?X-Amz-Signature=hush&sig=hush", "https://host/x?X-Amz-Signature=***&sig=***"),
        ("the word is open-sesame.", "the word is ***."),
    ],
)
def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch, text: str, shown: str) -> None:
    monkeypatch.setenv("MY_DB_PASSWORD", "open-sesame")
    monkeypatch.setenv("SHORT_KEY", "a")
    assert redacted(text) == shown
    assert str(ConfigError(text, where=text, hint=text)).count(shown) == 3
