from pathlib import Path

import pytest

from pdsearch.config import parse
from pdsearch.config.ledger_url import ledger_hint, read_ledger_url
from pdsearch.errors import ConfigError
from tests.config.documents import document

GOOD = [
    ("sqlite:////srv/x.db", "sqlite", Path("/srv/x.db"), "sqlite:////srv/x.db"),
    ("sqlite:///x.db", "sqlite", Path.cwd() / "x.db", f"sqlite:///{Path.cwd()}/x.db"),
    ("journal:////srv/a b.log", "journal", Path("/srv/a b.log"), "journal:////srv/a b.log"),
    ("postgresql://me@host:5433/db?sslmode=require", "postgresql", None, None),
    ("postgresql:///db?host=/run/postgresql", "postgresql", None, None),
]


@pytest.mark.parametrize(("text", "kind", "path", "whole"), GOOD)
def test_what_is_accepted(text: str, kind: str, path: Path | None, whole: str | None) -> None:
    assert read_ledger_url(text) == (kind, path, whole or text)
    assert read_ledger_url(read_ledger_url(text).text) == read_ledger_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x.db",
        "mysql://host/db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://x.db",
        "sqlite:///x.db?mode=ro",
        "postgresql://host",
        "postgresql:///",
        "postgresql://[host/db",
        "postgresql://host:port/db",
    ],
)
def test_what_is_not(text: str) -> None:
    with pytest.raises(ValueError, match=r"URL|names no"):
        read_ledger_url(text)


@pytest.mark.parametrize(
    "text", ["postgresql://me:hush@host/db", "postgresql://host/db?password=hush", "mysql://me:hush@host/db"]
)
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(document(search={"ledger": text, "trials": 3}))
    assert "hush" not in str(caught.value)
    assert "~/.pgpass" in str(caught.value)


def test_the_hint_shows_how() -> None:
    assert "sqlite:///FILE" in ledger_hint("names no file")


def test_where_a_study_lives_may_change_and_is_written_down() -> None:
    beside = parse(document(search={"trials": 3}))
    elsewhere = parse(document(search={"trials": 3, "ledger": "sqlite:///x.db"}))
    assert beside.search.ledger == "journal"
    assert beside.identity() == elsewhere.identity()
    assert parse(elsewhere.to_json()) == elsewhere
