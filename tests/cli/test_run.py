"""Does `pdsearch run` refuse what loses work, and show a run as was asked?"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pdsearch.cli.lines import JsonLines, Lines
from pdsearch.cli.main import main
from pdsearch.cli.run import _observer, _on_ray, _serially
from pdsearch.cli.screen import Screen
from pdsearch.errors import ConfigError
from pdsearch.space import Space
from tests.search.played import space

SPACE_FILE = """\
data: {source: digits, subset: 100}
teacher: {model: convnet_s}
student: {model: convnet_s}
train: {teacher: {epochs: 1, lr: 0.1}, recover: {epochs: 1, lr: 0.1}, distill: {epochs: 1, lr: 0.1}}
space: {distill.temperature: {low: 1, high: 20}}
prune: {method: none}
search: {trials: 3}
"""


@pytest.mark.parametrize(
    ("progress", "kind"), [("json", JsonLines), ("lines", Lines), ("auto", Lines), ("screen", Screen)]
)
def test_progress_is_shown_as_asked(tmp_path: Path, progress: str, kind: type[Any]) -> None:
    assert isinstance(_observer(progress, space(tmp_path)), kind)


def test_an_unknown_way_to_show_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="known: auto, screen, lines, json"):
        _observer("loud", space(tmp_path))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Space, str, dict[str, Any]]]:
    """What a run would search, what it would say goes on, and how; nothing is run."""
    found: list[tuple[Space, str, dict[str, Any]]] = []

    def search(given: Space, again: str, _observer: Any, **how: Any) -> Callable[[], None]:
        found.append((given, again, how))
        return lambda: print("done", file=sys.stdout)

    monkeypatch.setattr("pdsearch.cli.run._search", search)
    return found


def started(folder: Path, *words: str) -> int:
    file = folder / "mine.yaml"
    file.write_text(SPACE_FILE)
    return main(["run", str(file), *words])


def test_a_run_takes_the_file_s_space_with_its_overrides(tmp_path: Path, asked: Any) -> None:
    words = (
        "--set",
        "search.trials=7",
        "--set",
        f"storage={tmp_path}",
        "--workers",
        "3",
        "--address",
        "auto",
    )
    assert started(tmp_path, *words) == 0
    ((given, again, how),) = asked
    assert (given.study, given.search.trials) == ("mine", 7)
    assert how == {"address": "auto", "serial": False, "workers": 3, "verbose": False}
    kept = ("--set", f"storage={tmp_path}", "--address", "auto", "--workers", "3")
    assert again == f"pdsearch run {tmp_path / 'mine.yaml'} {' '.join(kept)}"


def test_the_command_that_goes_on_is_one_for_a_shell(tmp_path: Path, asked: Any) -> None:
    assert started(tmp_path, "--serial", "--set", "space.distill.temperature=[1, 4]") == 0
    ((_, again, _),) = asked
    assert again.endswith("mine.yaml --set 'space.distill.temperature=[1, 4]' --serial")


def test_the_command_that_goes_on_holds_no_secret(
    tmp_path: Path, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARE_TOKEN", "very-secret")
    assert started(tmp_path, "--set", f"storage={tmp_path}/very-secret") == 0
    ((_, again, _),) = asked
    assert f"storage={tmp_path}/***" in again


def test_a_serial_run_keeps_the_memory_that_a_step_frees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr("pdsearch.training.keep_freed_memory", lambda: done.append("kept"))
    monkeypatch.setattr("pdsearch.serial.run", lambda _work, _site: done.append("run"))
    study = SimpleNamespace(
        artifacts=tmp_path / "artifacts", progress=tmp_path / "progress", folder=tmp_path, agenda=None
    )
    _serially(study, space(tmp_path))
    assert done == ["kept", "run"]


def test_joining_a_cluster_is_said_before_it_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(**_asked: Any) -> None:
        raise ConfigError(f"cannot join, after {said}")

    said: list[str] = []
    monkeypatch.setattr("pdsearch.cluster.session.session", gone)
    study = SimpleNamespace(agenda=SimpleNamespace(observer=SimpleNamespace(say=said.append)))
    with pytest.raises(ConfigError, match="joining the Ray cluster at head:6379"):
        _on_ray(study, space(tmp_path), address="head:6379", workers=None, verbose=False)


@pytest.mark.parametrize("words", [("--address", "auto"), ("--address", "auto", "--serial")])
def test_a_cluster_needs_a_storage_that_every_node_sees(
    tmp_path: Path, asked: Any, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert started(tmp_path, *words) == 2
    assert "every node sees" in capsys.readouterr().err
    assert asked == []


def test_json_lines_are_alone_on_stdout(
    tmp_path: Path, asked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert started(tmp_path, "--progress", "json") == 0
    assert capsys.readouterr().out == ""
    assert started(tmp_path, "--progress", "lines") == 0
    assert capsys.readouterr().out == "done\n"
    assert len(asked) == 2
