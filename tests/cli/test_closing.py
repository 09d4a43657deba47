"""What a run says at its end, and what it counted on the way."""

import io
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.analysis.display_names import several
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.report.headline import headline
from pdsearch.analysis.study_table import read_study
from pdsearch.cli.console import about, duration_text, parse_size
from pdsearch.cli.main import main
from pdsearch.cli.progress import Lines, Tally, describe_job
from pdsearch.cli.summary import closing_words, nothing_came
from pdsearch.errors import ConfigError, FailureLimitError, IncompleteError, TrialError
from pdsearch.io.record_files import read_finished
from pdsearch.protocol import Event, Job, Outcome
from pdsearch.search.records import Live
from pdsearch.search.study import open_as_driver
from tests.cli.scripted_run import record, show
from tests.pipeline.digits import ALONE, DENSE, SPEC, distilled, job, pruned
from tests.records.trial_records import finished
from tests.search.scripted_trials import Script, play, space, whole


def told(folder: Path, capsys: pytest.CaptureFixture[str], *, script: Script = whole, **sections: Any) -> str:
    with (
        Lines(io.StringIO()) as lines,
        open_as_driver(space(folder, **sections), lines, ask_workers=lambda: False) as study,
    ):
        if not study.scheduler.idle():
            play(study.scheduler, script)
        closing_words(study, lines, "pdsearch run small.yaml --serial")
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
    fewer: dict[str, Any] = {"search": {"trials": 2, "sampler": "tpe", "seed": 0}}
    assert "--set search.trials=12" in told(tmp_path, capsys, **fewer), "twice what is done"


def test_the_folder_that_the_run_began_in_may_be_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray removes the folder that came with a job as soon as its driver leaves the cluster."""
    sent = tmp_path / "sent"
    sent.mkdir()
    monkeypatch.chdir(sent)
    sent.rmdir()
    storage = tmp_path / "a b"
    storage.mkdir()
    assert f"pdsearch rank '{storage / 'small'}' " in told(storage, capsys)


def test_without_confirmation_nothing_is_called_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no configuration is confirmed" in told(tmp_path, capsys, confirm="off")


def test_a_space_of_one_configuration_tells_its_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one: dict[str, Any] = {
        "space": {},
        "prune": {"method": "none"},
        "confirm": "off",
        "search": {"trials": 1},
    }
    with pytest.raises(TrialError):
        told(tmp_path, capsys, script=search_fails, **one)
    assert "search-00000: failed: ValueError: no such image" in capsys.readouterr().out
    words = told(tmp_path, capsys, **one)
    assert "failed" not in words, "tried again since, and made good"
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


@pytest.mark.parametrize(
    ("limit", "more"),
    [({"timeout": "1h"}, "search.timeout=4h"), ({"gpu_hours": 0.5}, "search.gpu_hours=1.6")],
)
def test_a_search_cut_off_by_a_limit_names_one_that_lets_it_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: dict[str, Any], more: str
) -> None:
    """It named a constant, which a study with a higher limit, or a longer confirmation, had used up already."""
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "elapsed.json").write_text('{"seconds": 9000, "gpu_seconds": 3700}')
    gpu = {"gpu": 1} if "gpu_hours" in limit else {}
    words = told(tmp_path, capsys, search={"trials": 6, **limit}, resources={"cpu": 1, **gpu})
    assert f"--set {more}   " in words


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
    records = read_finished(tmp_path / "small" / "trials").found.values()
    assert {record.state for record in records} == {"complete"}
    sampled = [record for record in records if record.number is not None]
    kept = [record for record in sampled if record.values["student.val_accuracy"] >= 0.75]
    assert 0 < len(kept) < len(sampled)
    assert f"{several(len(sampled) - len(kept), 'trial')} broke a constraint." in words
    again = told(tmp_path, capsys, objectives=objectives, constraints=constraints)
    assert "nothing was trained" in again
    best = rank_teachers(read_study(tmp_path / "small")).top(1)[0]
    assert best.val is not None
    assert best.val.mean >= 0.75


def fails_in(kind: str) -> Script:
    def script(job: Job) -> Generator[Event, None, None]:
        if job.kind == kind:
            yield Outcome("failed", "ValueError: no such image")
        else:
            yield from whole(job)

    return script


search_fails, confirmation_fails = fails_in("search"), fails_in("confirm")


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
    assert "failed." not in words
    assert "failed alike" not in words


ALL = {"val_fraction": 0.0, "source": "digits", "subset": 100}
ONE: dict[str, Any] = {"space": {}, "prune": {"method": "magnitude", "ratio": 0.2}}
LISTED: dict[str, Any] = {"data": ALL, "space": {"prune.method": ["none"]}, "search": {"trials": 1}}


def failed(number: int | None = 0) -> Any:
    return finished(number, state="failed", reason="it broke")


@pytest.mark.parametrize(
    ("sections", "records", "error"),
    [
        ({}, [failed(0), failed(1)], FailureLimitError),
        ({}, [failed(0), finished(1)], None),
        ({}, [failed(0), finished(1, state="stopped")], None),
        ({}, [], None),
        (ONE, [failed()], TrialError),
        (ONE, [failed(), failed(None)], TrialError),
        (LISTED, [failed(None)], FailureLimitError),
        (LISTED, [finished(None)], None),
    ],
)
def test_what_came_of_a_study(
    tmp_path: Path, sections: dict[str, Any], records: list[Any], error: type[Exception] | None
) -> None:
    found = nothing_came(records, space(tmp_path, **sections))
    assert type(found) is (type(None) if error is None else error)
    assert found is None or "it broke" in str(found)


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("1kb", 1000), ("1.5 GB", 1_500_000_000), ("2TB", 2 * 10**12), ("7 B", 7)]
)
def test_a_size_is_read(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1 GiB", "1e3"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no size"):
        parse_size(text)


@pytest.fixture
def tally() -> Tally:
    found = Tally()
    show(found)
    return found


def test_a_run_is_counted(tally: Tally) -> None:
    search = {("search", state): 1 for state in ("complete", "stopped", "failed", "infeasible")}
    assert tally.states == {
        **search,
        ("teacher", "complete"): 1,
        ("baseline", "complete"): 1,
        ("confirm", "complete"): 1,
    }
    assert tally.kinds() == (
        "1 dense teacher, 1 baseline, 4 search trials (1 failed, 1 infeasible, 1 stopped), 1 confirmation student"
    )
    assert tally.best == (0.9125, "search-00001")
    assert (tally.hits, tally.built) == (6, 6)
    assert tally.saved_s == 6 * 90
    assert tally.trained == 12


def test_a_failed_search_trial_does_not_count_towards_the_total() -> None:
    tally, trial = Tally(), job(SPEC)
    tally.phase("search", 4, 1)
    tally.ended(trial, Outcome("failed"), record("failed", "x", None, 0))
    assert tally.done == 1
    tally.ended(trial, Outcome("stopped"), record("stopped", None, 0.5, 1))
    assert tally.done == 2


def test_the_best_is_that_of_all_runs_and_never_a_stopped_trial() -> None:
    tally = Tally()
    tally.opened([record("complete", None, 0.9, 2), record("stopped", None, 0.99, 1)])
    assert tally.best == (0.9, "search-00000")
    tally.ended(job(SPEC), Outcome("stopped"), record("stopped", None, 0.98, 1))
    tally.ended(job(SPEC), Outcome("complete"), record("complete", None, 0.8, 2))
    assert tally.best == (0.9, "search-00000")
    assert tally.states.total() == 2


def test_the_time_left_is_told_from_what_remains_once_enough_was_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    tally = Tally()
    tally.phase("search", 10, 0)
    for number in range(0, 6, 2):
        pair = [job(SPEC, id=f"search-{number + place:05d}") for place in (0, 1)]
        assert tally.left_s() is None or number > 2
        for one in pair:
            tally.started(one)
        now[0] += 30
        for one in pair:
            tally.ended(one, Outcome("complete"), record("complete", None, 0.5, 2))
    assert tally.left_s() == 4 * 30 / 2
    last = [job(SPEC, id=f"search-{number:05d}") for number in range(6, 10)]
    for one in last[:2]:
        tally.started(one)
    now[0] += 10
    assert tally.left_s() == (2 * 30 + 2 * 20) / 2
    tally.done = 8  # Two trials are at work, longer than any before: never "0 s left".
    now[0] += 500
    assert tally.left_s() == 3
    tally.phase("confirmation", 5, 0)
    assert tally.left_s() is None


def test_a_job_is_described_by_what_was_sampled() -> None:
    assert describe_job(job(SPEC)) == "convnet_s magnitude 0.36  kd  alpha 0.5  temperature 4"
    assert describe_job(job(pruned(params=(("power", 0.25),)))).startswith(
        "convnet_s magnitude 0.36  power 0.25  kd"
    )
    assert describe_job(job(DENSE)).startswith("convnet_s unpruned  kd  alpha 0.5")
    assert describe_job(job(distilled(seed=3), kind="confirm")).endswith("seed 3")
    assert describe_job(job(ALONE)) == "student alone  seed 0"
    assert describe_job(job(DENSE, kind="teacher")) == "train convnet_s"
    outside = replace(DENSE, teacher=replace(DENSE.teacher, checkpoint="weights/best.pth"))
    assert describe_job(job(outside, kind="teacher")) == "read convnet_s from best.pth"
    trained = replace(outside, teacher=replace(outside.teacher, head="fresh"))
    assert describe_job(job(trained, kind="teacher")) == "train convnet_s from best.pth"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"), (7260, "2 h 01 min")],
)
def test_seconds_read_as_a_person_says_them(seconds: float, words: str) -> None:
    assert duration_text(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "5 s"), (37, "35 s"), (237, "4 min"), (5300, "88 min"), (7260, "2.0 h")]
)
def test_an_estimate_is_no_finer_than_it_is(seconds: float, words: str) -> None:
    assert about(seconds) == words
