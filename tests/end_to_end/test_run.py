"""The program as a person starts it, from the command line to its results."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.program import call, records, run, stop_when, write

SERIAL = ("run", "tiny.yaml", "--serial", "--progress", "lines")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A folder with a finished study, and what was said."""
    folder = tmp_path_factory.mktemp("finished")
    write(folder)
    return (folder, *run(folder, *SERIAL, "--verbose"))


def test_a_run_searches_confirms_and_ranks(finished: tuple[Path, str, str]) -> None:
    folder, out, said = finished
    found = [json.loads(content) for content in records(folder).values()]
    assert sum(record["kind"] == "search" for record in found) == 4
    assert {record["state"] for record in found} == {"complete"}
    assert {record["kind"] for record in found} == {"search", "baseline", "confirm"}
    assert all((record["test"] is not None) == (record["kind"] == "confirm") for record in found)
    assert "best configuration: convnet_s" in out
    assert "4/4  search-00003" in said
    assert "engine: CPU" in said
    assert (folder / "runs" / "tiny" / "results.parquet").is_file()
    assert not list((folder / "runs" / "progress").glob("*"))


def test_run_again_it_trains_nothing_and_says_so(finished: tuple[Path, str, str]) -> None:
    folder, first, _ = finished
    before = records(folder)
    out, said = call(folder, *SERIAL)
    assert "everything was finished before: nothing was trained" in out
    assert "to do" not in said
    assert records(folder) == before
    assert out.splitlines()[:4] == first.splitlines()[:4]


def test_json_progress_leaves_only_objects_on_stdout(finished: tuple[Path, str, str]) -> None:
    folder, _, _ = finished
    out, said = call(folder, "run", "tiny.yaml", "--serial", "--set", "study=objects", "--progress", "json")
    events: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    ended = [event for event in events if event["event"] == "ended"]
    assert len(ended) == len(records(folder, "objects"))
    assert "best configuration" in said


def test_another_study_of_the_same_space_uses_what_is_there(finished: tuple[Path, str, str]) -> None:
    folder, _, _ = finished
    out, said = call(folder, *SERIAL, "--set", "study=second")
    assert " 0 epochs trained" in out
    assert "teacher-" not in said
    values = [
        {
            json.loads(content)["key"]: json.loads(content)["values"]
            for content in records(folder, name).values()
        }
        for name in ("tiny", "second")
    ]
    assert values[0] == values[1]


def test_a_killed_driver_s_study_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    code, _ = stop_when(tmp_path, signal.SIGKILL, lambda: len(records(tmp_path)) >= 2, *SERIAL)
    assert code == -signal.SIGKILL
    before = records(tmp_path)
    assert len(before) >= 2
    call(tmp_path, *SERIAL)
    after = records(tmp_path)
    assert before.items() <= after.items()
    found = [json.loads(content) for content in after.values()]
    assert sum(record["kind"] == "search" for record in found) == 4
    keys = [record["key"] for record in found if record["kind"] == "search"]
    assert len(set(keys)) == 4
    call(tmp_path, "verify", "runs/tiny", "--deep")


def test_without_validation_every_configuration_is_tested_and_the_study_goes_on(tmp_path: Path) -> None:
    write(
        tmp_path,
        ("val_fraction: 0.2", "val_fraction: 0"),
        ("distill: {loss: kd}\n", ""),
        ("distill.temperature: {low: 1, high: 20, log: true}", "distill.loss: [kd, dkd]"),
        ("choices: [0.2, 0.36]", "choices: [0.36]"),
        ("search: {trials: 4, seed: 0}\n", ""),
        ("confirm: {teachers: 1, seeds: 1}", "confirm: {seeds: 1}"),
    )
    checked, _ = call(tmp_path, "check", "tiny.yaml")
    assert "all 4 configurations are trained with 1 seeds" in checked
    out, _ = call(tmp_path, *SERIAL)
    assert "nothing was selected" in out
    found = [json.loads(content) for content in records(tmp_path).values()]
    assert len(found) == 4 + 1
    assert all(record["test"]["student.accuracy"] > 0 for record in found)
    call(tmp_path, *SERIAL, "--set", "confirm.seeds=2")
    assert len(records(tmp_path)) == 2 * (4 + 1)
    call(tmp_path, "verify", "runs/tiny", "--deep")
    call(tmp_path, "export", "runs/tiny", "--out", "best")
    config = next((tmp_path / "best").glob("*/config.yaml"))
    pinned, _ = call(config.parent, "run", "config.yaml", "--serial", "--progress", "lines")
    assert "the one configuration: test " in pinned


LONG = ("distill: {epochs: 2", "distill: {epochs: 40")


def test_an_interrupted_run_saves_progress_and_goes_on(tmp_path: Path) -> None:
    write(tmp_path, LONG, ("trials: 4", "trials: 2"))
    asked = tmp_path / "runs" / "tiny" / "trials" / "search-00000.asked.json"
    ended, said = stop_when(tmp_path, signal.SIGINT, asked.exists, *SERIAL)
    assert ended == 130
    assert "Traceback" not in said
    assert "to go on: pdsearch run" in said
    before = records(tmp_path)
    assert not any(name.startswith("search-00000") for name in before)
    call(tmp_path, *SERIAL)
    after = records(tmp_path)
    assert before.items() < after.items()
    assert sum(name.startswith("search-") for name in after) == 2
    assert not list((tmp_path / "runs" / "progress").glob("*"))


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "no file": (("run", "missing.yaml"), "no such file"),
    "misspelled": (("run", "tiny.yaml", "--set", "serch.trials=3"), "search"),
    "no model": (("run", "tiny.yaml", "--set", "teacher.model=convnet_x"), "convnet_"),
    "progress": (("run", "tiny.yaml", "--progress", "loud"), "screen"),
    "address": (("run", "tiny.yaml", "--address", "auto"), "absolute path"),
    "option": (("run", "tiny.yaml", "--nonsense"), "nonsense"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_a_person_got_wrong_is_told_and_starts_nothing(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    words, expected = BAD[name]
    _, said = call(tmp_path, *words, code=2)
    assert expected in said
    assert not (tmp_path / "runs").exists()


def test_a_changed_space_is_refused_with_the_difference(finished: tuple[Path, str, str]) -> None:
    folder, _, _ = finished
    before = records(folder)
    _, said = call(folder, *SERIAL, "--set", "train.distill.lr=0.1", code=2)
    assert "train.distill.lr: 0.05 -> 0.1" in said
    assert records(folder) == before


def test_too_many_failures_end_with_a_code_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, ("distill: {epochs: 2, lr: 0.05", "distill: {epochs: 2, lr: 1.0e30"))
    _, said = call(tmp_path, *SERIAL, "--set", "search.max_failures=1", code=3)
    assert "diverged" in said
    assert "search.max_failures" in said
