"""Own code that was mended: what failed is tried again with it, what finished stays, or is asked again if wanted."""

import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pdsearch import user_code
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import read_study
from pdsearch.config import Space
from pdsearch.errors import ConfigError
from pdsearch.io.studies import Accept, description
from pdsearch.protocol import Event, Job, Outcome
from pdsearch.records.trial_record import REDONE, TrialRecord
from pdsearch.search.maintenance import failed, stays_failed
from pdsearch.search.overview import overview
from pdsearch.search.preflight import opening
from pdsearch.search.scheduler import Scheduler
from pdsearch.search.study import open_as_driver
from pdsearch.search.verify import check_invariants
from pdsearch.user_code import source_hash
from tests.own_code import Author
from tests.search.scripted_trials import Watching, play, searching, space, whole
from tests.some import some

CODE = Accept(code=True)
AGAIN = Accept(code=True, redo=True)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "check_trials", lambda *_: None)


def own(folder: Path, author: Author, *, part: str = "loss", **search: Any) -> tuple[Space, str]:
    """A space of a loss, or a pruning method, of the user's own; and the module's name."""
    module = author.write()
    if part == "loss":
        sections: dict[str, Any] = {
            "distill": {"loss": f"{module}:squared"},
            "space": {"distill.weight": {"low": 1, "high": 9}},
        }
        sections["space"] |= {"prune.method": ["none", "magnitude"]}
        sections["space"]["prune.ratio"] = {"choices": [0.2], "when": {"prune.method": ["magnitude"]}}
    else:
        sections = {"prune": {"method": f"{module}:sized"}, "space": {"prune.ratio": [0.2, 0.36, 0.5]}}
    return space(folder, **sections, search=searching(**search)), module


def mend(author: Author, module: str) -> str:
    """Change the module's file, as the next process would read it; return its new hash."""
    path = author.folder / f"{module}.py"
    path.write_text(f"{path.read_text()}\n# mended\n")
    user_code._loaded.cache_clear()
    del sys.modules[module]
    return source_hash(f"{module}:squared")


def broken(job: Job) -> Generator[Event, None, None]:
    """The script of a trial that fails alike in own code, if its number is odd or it is a confirmation's."""
    if job.spec.distill.code and (job.kind == "confirm" or (job.number or 0) % 2):
        yield Outcome("failed", "ValueError: in my loss")
    else:
        yield from whole(job)


def run(
    wanted: Space,
    script: Any = whole,
    accept: Accept = Accept(),  # noqa: B008
) -> tuple[list[Job], Scheduler, Watching]:
    watching = Watching()
    with open_as_driver(wanted, watching, accept=accept) as study:
        jobs = [job for job in play(study.scheduler, script) if job.kind != "teacher"]
        return jobs, study.scheduler, watching


def codes(records: list[TrialRecord]) -> set[str]:
    return {record.spec.distill.code for record in records if record.spec.distill.loss != "ce"}


def test_mended_code_is_refused_until_it_is_accepted(author: Author, tmp_path: Path) -> None:
    wanted, module = own(tmp_path, author)
    run(wanted)
    old = source_hash(f"{module}:squared")
    new = mend(author, module)
    with pytest.raises(ConfigError, match="its file is not the one the study began with") as error:
        run(wanted)
    assert "--accept-code" in str(error.value.hint)
    assert "--redo" in str(error.value.hint)
    jobs, scheduler, watching = run(wanted, accept=CODE)
    assert jobs == [], "what finished stays"
    assert scheduler.idle()
    assert f"accepted: {module}:squared: {old[:8]} -> {new[:8]}" in watching.said
    about = description(tmp_path / "small")
    assert about.code == {f"{module}:squared": new}
    assert [change.lines for change in about.changes] == [(f"{module}:squared: {old[:8]} -> {new[:8]}",)]
    assert json.loads((tmp_path / "small" / "study.json").read_text())["code"] == {f"{module}:squared": old}
    assert run(wanted)[0] == [], "accepted once and for all"
    assert check_invariants(tmp_path / "small") == []


def test_what_failed_alike_is_tried_with_the_mended_code_and_what_finished_stays(
    author: Author, tmp_path: Path
) -> None:
    wanted, module = own(tmp_path, author)
    for _ in range(3):
        _, scheduler, _ = run(wanted, broken)
    assert stays_failed(scheduler.records) != []
    before = {name: record for name, record in scheduler.records.finished.items() if record.state != "failed"}
    old, new = source_hash(f"{module}:squared"), mend(author, module)
    jobs, scheduler, watching = run(wanted, accept=CODE)
    assert any(text.startswith("retrying ") for text in watching.said)
    searched = [job for job in jobs if job.kind == "search"]
    assert searched
    assert all(job.spec.distill.code == new for job in jobs if job.spec.distill.loss != "ce")
    assert before.items() <= scheduler.records.finished.items()
    assert failed(scheduler.records) == []
    assert overview(tmp_path / "small").running == (), "what earlier code left is not gone on with"
    assert codes([*scheduler.records.finished.values()]) == {old, new}
    confirmed = [
        r for r in scheduler.records.finished.values() if r.kind == "confirm" and r.state == "complete"
    ]
    assert codes(confirmed) == {new}, "one code for each confirmation"
    tried = len(scheduler.records.finished)
    (tmp_path / "small" / "journal.log").unlink()
    jobs, scheduler, _ = run(wanted)
    assert (jobs, scheduler.search.failed, len(scheduler.records.finished)) == ([], 0, tried)
    assert check_invariants(tmp_path / "small") == []
    (author.folder / f"{module}.py").unlink()
    user_code._loaded.cache_clear()
    del sys.modules[module]
    assert failed(scheduler.records) == [], "known without the code, too"


def test_a_finalist_that_had_failed_before_its_student_was_built_is_confirmed(
    author: Author, tmp_path: Path
) -> None:
    def pruned_fail(job: Job) -> Generator[Event, None, None]:
        if job.spec.prune is not None:
            yield Outcome("failed", "ValueError: in my loss")
        else:
            yield from whole(job)

    wanted, module = own(tmp_path, author, max_failures=100)
    run(wanted, pruned_fail)
    new = mend(author, module)
    jobs, scheduler, _ = run(wanted, accept=CODE)
    confirmed = [job for job in jobs if job.kind == "confirm" and job.spec.prune is not None]
    assert confirmed
    assert {job.spec.distill.code for job in confirmed} == {new}
    assert failed(scheduler.records) == []


def test_what_finished_is_asked_again_where_that_is_wanted(author: Author, tmp_path: Path) -> None:
    wanted, module = own(tmp_path, author)
    first, _, _ = run(wanted)
    new = mend(author, module)
    jobs, scheduler, watching = run(wanted, accept=AGAIN)
    own_loss = [job for job in first if job.spec.distill.loss != "ce" and job.kind in ("search", "confirm")]
    assert any(text.startswith(f"asking again {len(own_loss)}") for text in watching.said)
    params = [job.params for job in first if job.kind == "search"]
    assert [job.params for job in jobs if job.kind == "search"] == params
    counting = [record for record in scheduler.records.finished.values() if record.state != "failed"]
    assert codes(counting) == {new}
    assert scheduler.search.finished == wanted.search.trials
    assert [r.reason for r in scheduler.records.finished.values() if r.state == "failed"] == [REDONE] * len(
        params
    )
    assert failed(scheduler.records) == []
    (tmp_path / "small" / "journal.log").unlink()
    jobs, scheduler, _ = run(wanted)
    assert (jobs, scheduler.search.finished) == ([], wanted.search.trials)
    ranking = rank_teachers(read_study(tmp_path / "small"))
    assert {row.best.record.spec.distill.code for row in ranking.rows if row.role != "alone"} == {new}
    assert check_invariants(tmp_path / "small") == []


def test_a_run_that_is_cut_off_while_it_asks_again_goes_on(author: Author, tmp_path: Path) -> None:
    wanted, module = own(tmp_path, author)
    run(wanted)
    new = mend(author, module)
    with open_as_driver(wanted, Watching(), accept=AGAIN) as study:
        some(study.scheduler.next())
    _, scheduler, _ = run(wanted)
    counting = [record for record in scheduler.records.finished.values() if record.state != "failed"]
    assert codes(counting) == {new}
    assert scheduler.search.finished == wanted.search.trials
    assert check_invariants(tmp_path / "small") == []


def test_teachers_of_two_codes_never_mix_and_are_told_apart(author: Author, tmp_path: Path) -> None:
    wanted, module = own(tmp_path, author, part="method", trials=2)
    run(wanted)
    old, new = source_hash(f"{module}:sized"), mend(author, module)
    wider = space(
        tmp_path,
        prune={"method": f"{module}:sized"},
        space={"prune.ratio": [0.2, 0.36, 0.5]},
        search=searching(trials=3),
    )
    jobs, scheduler, _ = run(wider, accept=CODE)
    assert {job.spec.prune.code for job in jobs if job.spec.prune} == {new}
    keys = {
        r.teacher.key: r.spec.prune.code
        for r in scheduler.records.finished.values()
        if r.teacher and r.spec.prune
    }
    assert {*keys.values()} <= {old, new}
    labels = [row.label for row in rank_teachers(read_study(tmp_path / "small")).rows]
    assert len(labels) == len({*labels})
    footer = rank_teachers(read_study(tmp_path / "small")).footer
    assert any("of an earlier version of own code" in sentence for sentence in footer)
    assert check_invariants(tmp_path / "small") == []
    (tmp_path / "small" / "change-1.json").unlink()
    assert {breach.rule for breach in check_invariants(tmp_path / "small")} == {"code"}
