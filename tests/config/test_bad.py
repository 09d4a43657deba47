"""Every bad file earns its message, word for word; together they are the collection of what can go wrong."""

from pathlib import Path

import pytest

from pdsearch.config import load
from pdsearch.errors import ConfigError
from tests.config.parts import CATALOG

BAD = Path(__file__).parent / "bad"
FILES = sorted(path.stem for path in BAD.glob("*.yaml"))


@pytest.mark.parametrize("name", FILES)
def test_message(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(ConfigError) as caught:
        load(f"{name}.yaml", catalog=CATALOG)
    assert str(caught.value) + "\n" == (BAD / f"{name}.txt").read_text(encoding="utf-8")


def test_every_message_has_its_file() -> None:
    assert sorted(path.stem for path in BAD.glob("*.txt")) == FILES


@pytest.mark.parametrize("name", FILES)
def test_message_says_where_and_what_to_do(name: str) -> None:
    message = (BAD / f"{name}.txt").read_text(encoding="utf-8")
    assert message.startswith(f"{name}.yaml:")
    assert "->" in message
    assert message.count("\n") <= 23
