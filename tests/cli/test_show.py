"""`pdsearch show` says what a study is doing, of whatever there is to say."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pdsearch.cli.main import main
from pdsearch.cli.verbs import show as verb
from pdsearch.search import overview as module
from pdsearch.search.overview import Failure, Overview, RunningTrial

BUSY = Overview(
    study="digits",
    folder="runs/digits",
    driver="pid 7 on here",
    phase="confirmation",
    total=4,
    done=1,
    left_s=90.0,
    elapsed_s=30.0,
    states={"search": {"failed": 2, "complete": 1}},
    running=(RunningTrial("search-00003", 5.0),),
    failures=(
        Failure("search-00001", "it broke\nat last", "pdsearch retry runs/digits"),
        Failure("search-00002", "", "pdsearch retry runs/digits"),
    ),
    best=(0.75, "search-00000"),
    best_of={"small": (0.75, "search-00000"), "large": (0.5, "search-00004")},
    broken=("trials/torn.json",),
)


def shown(
    found: Overview, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> str:
    """What the command prints of a study that is so."""
    monkeypatch.setattr(verb, "begun", lambda _folder: True)
    monkeypatch.setattr(module, "overview", lambda _folder: found)
    assert main(["show", "runs/digits", *words]) == 0
    return capsys.readouterr().out


def test_all_that_there_is_to_say_of_a_study_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(BUSY, monkeypatch, capsys)
    assert "driver    pid 7 on here\nphase     " in text
    assert ": 1 of 4 done, about 1 min 30 s left\n" in text
    assert "search    1 complete, 2 failed\n" in text
    assert "best      75.00 % of validation, search-00000 of small: of a search, no estimate\n" in text
    assert "running   search-00003, for 5 s\n" in text
    assert "failed    search-00001: it broke\nfailed    search-00002: no reason\n" in text
    assert text.count("pdsearch retry") == 1, "what helps several is said once"
    assert "damaged   trials/torn.json\n" in text
    assert json.loads(shown(BUSY, monkeypatch, capsys, "--json"))["left_s"] == 90.0


def test_of_a_study_at_rest_is_said_how_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = replace(BUSY, driver=None, total=0, left_s=None, best_of={"small": (0.75, "search-00000")})
    text = shown(rest, monkeypatch, capsys)
    assert "driver    none: the same `pdsearch run` goes on with it\n" in text
    assert ": 1 done\n" in text
    assert "validation, search-00000: of a search" in text
    assert "cut off   search-00003, the next run goes on with it\n" in text
    assert "phase" not in shown(replace(rest, phase="", states={}), monkeypatch, capsys)


def test_a_watch_ends_with_the_driver(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = [BUSY, BUSY, replace(BUSY, driver=None), replace(BUSY, driver=None)]
    monkeypatch.setattr(verb, "begun", lambda _folder: True)
    monkeypatch.setattr(module, "overview", lambda _folder: left.pop(0))
    monkeypatch.setattr(verb, "WATCH_S", 0.0)
    assert main(["show", "runs/digits", "--watch"]) == 0
    first, second = capsys.readouterr().out.split("study     digits")[1:]
    assert "pid 7 on here" in first
    assert "driver    none" in second


@pytest.mark.parametrize("words", [["--watch"], ["--config", "trial.yaml"]])
def test_what_is_of_one_study_or_trial_needs_its_name(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(tmp_path), *words]) == 2
    assert words[0] in capsys.readouterr().err


def test_a_storage_is_its_studies_and_a_trial_its_record_to_a_program_too(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(tmp_path), "--json"]) == 0
    assert [study["study"] for study in json.loads(capsys.readouterr().out)] == ["small"]
    assert main(["show", str(study_folder), "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["id"], told["state"], told["earlier_tries"]) == ("search-00000", "complete", [])
    (tmp_path / "empty").mkdir()
    assert main(["show", str(tmp_path / "empty")]) == 2
    assert "empty" in capsys.readouterr().err
