"""The end of a run: ranking, best configuration, what to do next; and the error of one whose study lacks results."""

import json
import math
import shlex
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from pdsearch.analysis.display_names import several
from pdsearch.analysis.footnotes import shortfall
from pdsearch.analysis.forms import as_arrow, epochs_as_arrow, write_parquet
from pdsearch.analysis.ranked import Ranking
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.report.headline import headline
from pdsearch.analysis.study_table import StudyTable, read_study
from pdsearch.cli.console import duration_text, print_lines
from pdsearch.cli.progress import Tally
from pdsearch.cli.verbs.rank import print_ranking
from pdsearch.config import Space
from pdsearch.config.resolve import points_of
from pdsearch.config.validators import format_duration
from pdsearch.errors import FailureLimitError, IncompleteError, PdsearchError, TrialError
from pdsearch.io import Place, Remote, replace
from pdsearch.io.studies import path_text
from pdsearch.records.trial_record import TrialRecord
from pdsearch.search.maintenance import failed, how_again, stays_failed
from pdsearch.search.study import Study


def closing_words(study: Study, tally: Tally, again: str) -> None:
    """Print the end of a run and write all trials and epochs as Parquet.

    Args:
        study: What was run.
        tally: The counts of this run.
        again: The command that resumes the study, without the number of trials.

    Raises:
        PdsearchError: The study lacks results.
    """
    found = read_study(study.folder)
    _write_tables(study, found)
    print_lines([""])
    ranking = rank_teachers(found)
    print_ranking(ranking)
    finished, space = study.scheduler.records.finished, study.scheduler.space
    missed = shortfall(found, ranking)
    if not (space.parameters and space.validated):
        last = {*failed(study.scheduler.records)}  # Not those that were tried again.
        best = _only(r for name, r in finished.items() if r.state != "failed" or name in last)
    else:
        best = ["no configuration keeps the constraints"] if missed else _best(ranking)
    exportable = bool(ranking.top(1))
    so_far = ["", *best, "", *_spent(tally), *_failures(study), "", *_where(study)]
    print_lines([*so_far, *_next(study, again, whole=exportable)])
    error = _error_of_run(study, missed)
    if error is not None:
        raise error


def _failures(study: Study) -> list[str]:
    """Return a line on the failed jobs that the next run retries, and one on those that it does not."""
    records = study.scheduler.records
    final = set(stays_failed(records))
    again = [name for name in failed(records) if name not in final]
    lines = [f"{len(again)} failed: the same command tries {_them(again)} once more"] if again else []
    if final:
        command = f"pdsearch retry {_short(study.folder)} --failed"
        lines.append(
            f"{len(final)} failed alike again: once the cause is mended, {command} has {_them(final)} tried again"
        )
    return lines


def _them(names: Collection[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _best(ranking: Ranking) -> list[str]:
    """Return the first teacher's configuration, the one that `pdsearch export` writes, and the study's headline."""
    first = next(iter(ranking.top(1)), None)
    if first is None or not first.confirmed:
        return ["no configuration is confirmed (confirm: off, or nothing finished yet)"]
    spec = json.loads(first.best.spec)
    loss = spec["distill"]
    told = headline(ranking)
    params = ", ".join(_setting(name, value) for name, value in loss["params"] if value is not False)
    return [
        f"best configuration: {first.label if told.others else f'{first.label} -> {first.best.student_model}'},"
        f" {loss['loss']} with {params or 'no parameters'}",
        *(f"  {line}" for line in (told.line, *told.others)),
    ]


def _setting(name: str, value: object) -> str:
    return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"


def _only(finished: Iterable[TrialRecord]) -> list[str]:
    """Return the one configuration's result: nothing was selected, so its trial was evaluated on the test set."""
    lines = []
    for record in (record for record in finished if record.kind == "search"):
        if record.state != "complete":
            lines.append(f"{record.id}: {record.state}: {record.reason}")
            continue
        measured = {
            "validation": record.values.get("student.val_accuracy"),
            "test": (record.test or {}).get("student.accuracy"),
        }
        shown = [f"{part} {100 * value:.2f} %" for part, value in measured.items() if value is not None]
        lines.append(f"the one configuration: {', '.join(shown)}")
    return lines


def _spent(tally: Tally) -> list[str]:
    if not tally.states:
        return ["everything was finished before: nothing was trained"]
    return [
        f"this run: {tally.kinds()} in {duration_text(time.monotonic() - tally.began)};"
        f" {several(tally.trained, 'epoch')} trained, {several(tally.hits, 'artifact')} reused"
        f" ({duration_text(tally.saved_s)} of training saved)",
    ]


def _where(study: Study) -> list[str]:
    trials_of, table = _short(study.folder / "trials"), _short(study.folder / "results.parquet")
    return [
        f"records   {trials_of}    as tables   {table}, epochs.parquet",
        f"artifacts {_short(study.artifacts)}",
    ]


def _next(study: Study, again: str, *, whole: bool) -> list[str]:
    """Return lines on what can be done with the results."""
    folder, space = _short(study.folder), study.scheduler.space
    front = f"  pdsearch rank {folder} --front          the trials that none beats in all objectives"
    return [
        "next:",
        f"  pdsearch rank {folder}                  this ranking again",
        *([front] if len(space.objectives) > 1 else []),
        f"  pdsearch report {folder}                the same with figures",
        *([f"  pdsearch export {folder} --out best     the best students"] if whole else []),
        *_further(study, again),
    ]


def _further(study: Study, again: str) -> list[str]:
    """Return how to go on searching; nothing for a space that was listed and not searched."""
    space = study.scheduler.space
    if not space.validated:
        return []
    if _is_searched_through(study):
        return ["the space holds no further configuration"]
    spent = study.scheduler.phases.spent()
    raised = [f"{spent}={_raised(study, spent)}"] if spent else []
    finished = study.scheduler.search.finished  # More than the space asks for, if it now asks for fewer.
    if not spent or finished >= space.search.trials:
        raised.append(f"search.trials={2 * max(1, space.search.trials, finished)}")
    why = f"{spent} is used up; this is how to search on" if spent else "go on searching"
    return [f"  {' '.join([again, *(f'--set {one}' for one in raised)])}   {why}"]


def _raised(study: Study, limit: str) -> str:
    """Return a limit with which a study searches on for as long as the limit allowed it at first."""
    phases, search = study.scheduler.phases, study.scheduler.space.search
    if limit == "search.gpu_hours":
        return f"{math.ceil(10 * (phases.clock.gpu_seconds() / 3600 + (search.gpu_hours or 0))) / 10:g}"
    seconds = phases.clock.seconds() + (search.timeout or 0)
    unit = 60 if seconds < 7200 else 3600
    return format_duration(unit * math.ceil(seconds / unit))


def _is_searched_through(study: Study) -> bool:
    """Return whether every configuration of a finite space was tried."""
    tried = [
        record
        for record in study.scheduler.records.finished.values()
        if record.kind == "search" and record.state != "failed"
    ]
    points = points_of(study.scheduler.space.parameters, limit=len(tried))
    return study.scheduler.search.exhausted or points is not None


def _write_tables(study: Study, found: StudyTable) -> None:
    for name, table in (("results.parquet", as_arrow(found)), ("epochs.parquet", epochs_as_arrow(found))):
        if not isinstance(study.folder, Remote):
            write_parquet(table, study.folder / name)
            continue
        with TemporaryDirectory() as folder:
            file = Path(folder) / name
            write_parquet(table, file)
            replace(study.folder / name, file.read_bytes())


def _short(path: Place) -> str:
    """Return a path relative to the current folder if it is inside, or a URL, quoted for a shell."""
    return shlex.quote(path_text(path))


def _error_of_run(study: Study, missed: str | None) -> PdsearchError | None:
    """Return the error that a run ends with; None where its study lacks no results, not even feasible trials."""
    records, space = study.scheduler.records, study.scheduler.space
    error = nothing_came(records.finished.values(), space, lambda name: how_again(records, name))
    if error is not None:
        return error
    if missed:
        on = "" if study.scheduler.search.exhausted else "search on with a larger search.trials, or "
        return IncompleteError(missed, hint=f"{on}loosen the constraint in a study of another name")
    jobs = [job.id for job in study.scheduler.phases.derived.confirming()]
    ended = (records.finished[name] for name in jobs if name in records.finished)
    lost = [record for record in ended if record.state == "failed"]
    if not lost:
        return None
    what = f"{len(lost)} of {len(jobs)} confirmation students failed, which the ranking lacks; the last one"
    hint = f"mend the cause and {how_again(records, lost[-1].id)}"
    return IncompleteError(f"{what}, {lost[-1].id}: {lost[-1].reason}", hint=hint)


def nothing_came(
    records: Iterable[TrialRecord], space: Space, how: Callable[[str], str] = lambda _: "run it again"
) -> PdsearchError | None:
    """Return the error of a study in which every trial has failed; None where one has not.

    Args:
        records: Of finished jobs.
        space: What was searched.
        how: Returns how the job of an id is tried again.
    """
    # Without validation images nothing is searched, and every configuration is confirmed at once.
    kind = "search" if space.validated or space.confirm is None else "confirm"
    tried = [record for record in records if record.kind == kind]
    if not tried or any(record.state != "failed" for record in tried):
        return None
    last = max(tried, key=lambda record: record.finished_at or "")
    hint = f"mend the cause and {how(last.id)}"
    if not space.parameters:
        return TrialError(f"the only configuration failed: {last.reason}", hint=hint)
    return FailureLimitError(
        f"all {len(tried)} trials failed; the last one, {last.id}: {last.reason}", hint=hint
    )
