"""`pdsearch demo` runs the packaged digits from a copy, and keeps what a user wrote."""

from pathlib import Path
from typing import Any

import pytest

from pdsearch.cli.main import main
from pdsearch.cli.verbs import demo
from pdsearch.config import load


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Path, dict[str, Any]]]:
    found: list[tuple[Path, dict[str, Any]]] = []
    monkeypatch.setattr(demo, "run", lambda path, **how: found.append((path, how)))
    monkeypatch.chdir(tmp_path)
    return found


def test_it_writes_the_space_once_and_runs_it_on_this_machine(ran: list[tuple[Path, dict[str, Any]]]) -> None:
    assert main(["demo"]) == 0
    assert main(["demo", "--serial"]) == 0
    assert [(path.name, how["address"], how["serial"]) for path, how in ran] == [
        ("digits.yaml", "local", False),
        ("digits.yaml", None, True),
    ]
    assert load("digits.yaml").study == "digits"


def test_a_file_of_the_user_is_kept(
    ran: list[tuple[Path, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("digits.yaml").write_text("mine")
    assert main(["demo"]) == 2
    assert (Path("digits.yaml").read_text(), ran) == ("mine", [])
    assert "pdsearch run digits.yaml runs it" in capsys.readouterr().err
