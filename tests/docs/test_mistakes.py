"""docs/mistakes.md has the exact message of each of the commonest mistakes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.mistakes_page import MISTAKES, PAGE, entry, scratch

COMMANDS = [command for commands in MISTAKES.values() for command in commands]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("mistakes")
    with pytest.MonkeyPatch.context() as patch, scratch(path):
        patch.delenv("RAY_ADDRESS", raising=False)
        yield path


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mistake_has_the_message_of_the_page(command: str) -> None:
    found = entry(command)
    assert f"\n```text\n{found}\n```\n" in PAGE.read_text(encoding="utf-8")
    code, message = re.fullmatch(r"\$ .*    # exit code (\d+)\n(.*)", found, flags=re.DOTALL).groups()  # type: ignore[union-attr]
    assert code != "0"
    assert message.startswith("pdsearch: ")
    assert " -> " in message


def test_the_page_has_thirty_and_no_others() -> None:
    assert len(COMMANDS) >= 30
    assert PAGE.read_text(encoding="utf-8").count("\n$ pdsearch ") == len(COMMANDS)
