"""`pdsearch run` refuses what loses work, and shows a run as was asked."""

import json
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pdsearch.cli.main import main
from pdsearch.cli.progress import JsonLines, Lines
from pdsearch.cli.screen import Screen
from pdsearch.cli.verbs import run as running
from pdsearch.cli.verbs.run import _observer
from pdsearch.cluster.connection.choice import Choice
from pdsearch.config import Space
from pdsearch.driver import _serially
from pdsearch.errors import ConfigError, FailureLimitError, Interrupted
from pdsearch.io.studies import Accept
from pdsearch.records.trial_record import FORMAT
from pdsearch.signals import Stop
from tests.search.scripted_trials import space

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

    def search(given: Space, _observer: Any, _stop: Stop, **how: Any) -> SimpleNamespace:
        found.append((given, "", how))
        phases = SimpleNamespace(cut_by=lambda: None)
        return SimpleNamespace(scheduler=SimpleNamespace(phases=phases))

    def close(_study: Any, _observer: Any, again: str) -> None:
        found[-1] = (found[-1][0], again, found[-1][2])
        print("done")

    monkeypatch.setattr("pdsearch.cli.verbs.run.drive", search)
    monkeypatch.setattr("pdsearch.cli.verbs.run._close", close)
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
    assert how == {
        "choice": Choice("auto", "--address"),
        "serial": False,
        "workers": 3,
        "verbose": False,
        "accept": Accept(),
    }
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
    monkeypatch.setattr("pdsearch.training.device.keep_freed_memory", lambda: done.append("kept"))
    monkeypatch.setattr("pdsearch.driver.run_serially", lambda _work, _site: done.append("run"))
    scheduler = SimpleNamespace(interrupt=None, observer=SimpleNamespace(say=None))
    study = SimpleNamespace(
        artifacts=tmp_path / "artifacts", progress=tmp_path / "progress", folder=tmp_path, scheduler=scheduler
    )
    _serially(cast("Any", study), space(tmp_path), Stop(print))
    assert done == ["kept", "run"]


@pytest.mark.parametrize(
    ("words", "variable", "message"),
    [
        ((), "http://head:8265", "ray job submit --address http://head:8265 -- pdsearch run SPACE"),
        ((), "https://head", "ray job submit"),
        (("--address", "ray://head:10001"), "", "ray job submit"),
        ((), "ray://head:10001", "ray job submit"),
        (("--address", "head"), "", "not an address"),
        (("--address", "auto"), "", "every node sees"),
        (("--address", "auto", "--serial"), "", "every node sees"),
        ((), "10.0.0.1:6379", "RAY_ADDRESS=10.0.0.1:6379"),
        (("--address", "local", "--serial"), "", "without Ray"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_before_anything_is_opened(
    tmp_path: Path,
    asked: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    variable: str,
    message: str,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", variable)
    assert started(tmp_path, *words) == 2
    assert message in capsys.readouterr().err
    assert asked == []


@pytest.mark.parametrize("words", [("--serial",), ("--address", "local")])
def test_a_cluster_s_address_in_the_environment_is_no_matter_where_this_machine_is_asked_for(
    tmp_path: Path, asked: Any, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://nobody:8265")
    assert started(tmp_path, *words) == 0
    assert len(asked) == 1


def test_json_lines_are_alone_on_stdout(
    tmp_path: Path, asked: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert started(tmp_path, "--progress", "json") == 0
    assert capsys.readouterr().out == ""
    assert started(tmp_path, "--progress", "lines") == 0
    assert capsys.readouterr().out == "done\n"
    assert len(asked) == 2


STATE = (
    "import os, pathlib; keys = ('STATE', 'STUDY', 'FOLDER', 'EXIT_CODE', 'MESSAGE'); pathlib.Path('told')"
)
STATE += ".write_text('|'.join(os.environ['PDSEARCH_' + key] for key in keys))"


@pytest.mark.parametrize(
    ("error", "limit", "code", "told"),
    [
        (None, None, 0, "finished|mine|HERE/runs/mine|0|"),
        (None, "search.gpu_hours", 0, "limit|mine|HERE/runs/mine|0|search.gpu_hours is used up"),
        (FailureLimitError("all failed"), None, 3, "failed|mine|HERE/runs/mine|3|all failed"),
        (
            Interrupted("stopped"),
            None,
            130,
            "stopped|mine|HERE/runs/mine|130|stopped\n  -> to go on: pdsearch run HERE/mine.yaml --set search.trials=7",
        ),
    ],
)
def test_a_command_is_told_how_a_run_ended(
    tmp_path: Path,
    asked: Any,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
    limit: str | None,
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not asked

    def search(_given: Space, *_: Any, **__: Any) -> SimpleNamespace:
        if error is not None:
            raise error
        phases = SimpleNamespace(cut_by=lambda: limit)
        return SimpleNamespace(scheduler=SimpleNamespace(phases=phases))

    monkeypatch.setattr("pdsearch.cli.verbs.run.drive", search)
    monkeypatch.setattr("pdsearch.cli.verbs.run._close", lambda *_: None)
    command = shlex.join([sys.executable, "-c", STATE])
    assert started(tmp_path, "--set", "search.trials=7", "--on-end", command) == code
    assert (tmp_path / "told").read_text().startswith(told.replace("HERE", str(tmp_path)))


@pytest.mark.parametrize(
    ("command", "note"),
    [
        ("sh -c 'echo loud; exit 1'", "sh ended with exit code 1; the study is not affected"),
        ("sleep 0.3", "sleep still runs after"),
    ],
)
def test_a_command_s_failure_does_not_harm_the_run(
    tmp_path: Path,
    asked: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    command: str,
    note: str,
) -> None:
    monkeypatch.setattr(running, "PATIENCE_S", 0.05 if "sleep" in command else 30.0)
    assert started(tmp_path, "--on-end", command) == 0
    assert asked
    said = capfd.readouterr()
    assert note in said.err
    assert "loud" not in said.out, "JSON lines may go there"


@pytest.mark.parametrize("command", ["no-such-program x", "", "'unclosed"])
def test_a_command_that_cannot_be_is_refused_before_the_run(tmp_path: Path, asked: Any, command: str) -> None:
    assert started(tmp_path, "--on-end", command) == 2
    assert not asked


def test_a_study_of_the_same_space_elsewhere_is_pointed_at(
    tmp_path: Path, asked: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert started(tmp_path) == 0
    about = {"format": FORMAT, "study": "mine", "space": asked[0][0].identity()}
    (tmp_path / "runs/mine").mkdir(parents=True)
    (tmp_path / "runs/mine/study.json").write_text(json.dumps(about))
    assert "elsewhere" not in capsys.readouterr().err
    assert started(tmp_path) == 0
    assert f"--set storage={tmp_path / 'runs'}" in capsys.readouterr().err
    assert started(tmp_path, "--set", "train.distill.epochs=2") == 0
    monkeypatch.chdir(tmp_path)
    assert started(tmp_path) == 0
    assert started(tmp_path, "--set", f"storage={'x' * 300}") == 0  # Opening the study tells of it.
    assert "lies in" not in capsys.readouterr().err
