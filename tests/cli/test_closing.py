"""The closing message of a run."""

import io
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pdsearch.analysis import rank_teachers, read_study
from pdsearch.analysis.report.headline import headline
from pdsearch.cli.main import main
from pdsearch.cli.progress.lines import Lines
from pdsearch.cli.summary import closing_words
from pdsearch.errors import IncompleteError
from pdsearch.io.record_files import read_finished
from pdsearch.protocol import Event, Job, Outcome
from pdsearch.search.records import Live
from pdsearch.search.study import open_study
from tests.search.scripted_trials import Script, play, space, whole


def told(folder: Path, capsys: pytest.CaptureFixture[str], *, script: Script = whole, **sections: Any) -> str:
    with Lines(io.StringIO()) as lines, open_study(space(folder, **sections), lines) as study:
        if not study.agenda.idle():
            play(study.agenda, script)
        closing_words(study, lines.tally, "pdsearch run small.yaml --serial")
    return capsys.readouterr().out


def test_the_ranking_the_best_the_costs_and_what_to_do_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = told(tmp_path, capsys)
    assert "best configuration: " in words
    said = headline(rank_teachers(read_study(tmp_path / "small")))
    assert f"  {said.text}: {said.figure} {said.interval}\n" in words, "as the report says it"
    assert "6 search trials" in words
    assert "pdsearch rank" in words
    assert "pdsearch run small.yaml --serial --set search.trials=12" in words
    assert "--front" not in words
    assert (tmp_path / "small" / "results.parquet").is_file()


def test_a_study_that_was_finished_says_that_nothing_was_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(tmp_path, capsys)
    assert "everything was finished before: nothing was trained" in told(tmp_path, capsys)


def test_the_folder_that_the_run_began_in_may_be_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray removes the folder that came with a job as soon as its driver leaves the cluster."""
    sent = tmp_path / "sent"
    sent.mkdir()
    monkeypatch.chdir(sent)
    sent.rmdir()
    assert f"pdsearch rank {tmp_path / 'small'} " in told(tmp_path, capsys)


def test_without_confirmation_nothing_is_called_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no configuration is confirmed" in told(tmp_path, capsys, confirm="off")


def test_a_space_of_one_configuration_tells_its_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = told(tmp_path, capsys, space={}, prune={"method": "none"}, confirm="off", search={"trials": 1})
    assert "the one configuration: validation" in words
    assert ", test " in words
    assert "go on searching" not in words


def test_a_space_that_was_tried_whole_is_not_searched_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finite = {"distill.temperature": [1.0, 4.0]}
    words = told(
        tmp_path, capsys, space=finite, prune={"method": "none"}, confirm="off", search={"trials": 2}
    )
    assert "the space holds no further configuration" in words
    assert "go on searching" not in words


def test_of_several_objectives_the_front_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objectives = [{"metric": "student.val_accuracy"}, {"metric": "student.params"}]
    words = told(tmp_path, capsys, objectives=objectives, confirm="off", search={"trials": 1})
    assert f"pdsearch rank {tmp_path / 'small'} --front" in words


def test_a_study_in_which_no_trial_keeps_the_constraints_ends_with_how_far_they_are_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ended with 0 and named `pdsearch export`, which failed."""
    with pytest.raises(
        IncompleteError, match="no trial of 6 keeps every constraint: the nearest, search-0"
    ) as end:
        told(tmp_path, capsys, constraints=["student.val_accuracy >= 0.9999"])
    assert "student.val_accuracy = 0." in end.value.what
    assert "search on" in str(end.value.hint)
    words = capsys.readouterr().out
    assert "no configuration keeps the constraints" in words
    assert "pdsearch export" not in words
    assert main(["export", str(tmp_path / "small"), "--out", str(tmp_path / "out")]) == 2
    assert "keeps every constraint" in capsys.readouterr().err


def test_what_an_older_version_called_complete_is_not_the_best_where_it_breaks_a_constraint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objectives, constraints = [{"metric": "student.params"}], ["student.val_accuracy >= 0.75"]
    with pytest.MonkeyPatch.context() as older:
        older.setattr(Live, "settled", lambda _, outcome: outcome)
        older.setattr("tests.search.scripted_trials.accuracy", lambda job: 0.9 if job.spec.prune else 0.42)
        words = told(tmp_path, capsys, objectives=objectives, constraints=constraints)
    records = read_finished(tmp_path / "small" / "trials", {}).found.values()
    assert {record.state for record in records} == {"complete"}
    sampled = [record for record in records if record.number is not None]
    kept = [record for record in sampled if record.values["student.val_accuracy"] >= 0.75]
    assert 0 < len(kept) < len(sampled)
    assert f"{len(sampled) - len(kept)} trial(s) broke a constraint." in words
    again = told(tmp_path, capsys, objectives=objectives, constraints=constraints)
    assert "nothing was trained" in again
    best = rank_teachers(read_study(tmp_path / "small")).top(1)[0]
    assert best.val is not None
    assert best.val.mean >= 0.75


def confirmation_fails(job: Job) -> Generator[Event, None, None]:
    if job.kind == "confirm":
        yield Outcome("failed", "ValueError: no such image")
    else:
        yield from whole(job)


def test_failed_confirmation_students_are_no_success_and_are_tried_once_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(IncompleteError, match=r"confirmation students failed.*no such image") as end:
        told(tmp_path, capsys, script=confirmation_fails)
    assert "run the same command again, which tries it once more" in str(end.value.hint)
    assert "failed: the same command tries them once more" in capsys.readouterr().out
    with pytest.raises(IncompleteError) as end:
        told(tmp_path, capsys, script=confirmation_fails)
    retry = f"pdsearch retry {tmp_path / 'small'} --failed"
    assert f"run `{retry}`, since it failed alike before, then the same command" in str(end.value.hint)
    assert (
        f"failed alike again: once the cause is mended, {retry} has them tried again"
        in capsys.readouterr().out
    )
    assert main(["retry", str(tmp_path / "small"), "--failed"]) == 0
    words = told(tmp_path, capsys)
    assert "trial(s) failed" not in words
    assert "failed alike" not in words
