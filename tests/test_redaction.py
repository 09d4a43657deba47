import pytest

from pdsearch.errors import ConfigError
from pdsearch.redaction import redacted


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
