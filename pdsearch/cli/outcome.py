"""Errors of a run whose study lacks results, so that it does not exit with 0.

Every trial failed or broke a constraint, or students of the confirmation failed.
"""

from collections.abc import Callable, Iterable

from pdsearch.config import Space
from pdsearch.errors import FailureLimitError, IncompleteError, PdsearchError, TrialError
from pdsearch.search.maintenance import how_again
from pdsearch.search.study import Study
from pdsearch.trial_record import TrialRecord


def lacking(study: Study, missed: str | None) -> PdsearchError | None:
    """Return the error that a run ends with; None where its study lacks no results.

    Args:
        study: What was run.
        missed: How far the trials are from keeping the constraints, where none does.
    """
    records, space = study.agenda.records, study.agenda.space
    error = nothing_came(records.finished.values(), space, lambda name: how_again(records, name))
    if error is not None:
        return error
    if missed:
        on = "" if study.agenda.search.exhausted else "search on with a larger search.trials, or "
        return IncompleteError(missed, hint=f"{on}loosen the constraint in a study of another name")
    jobs = [job.id for job in study.agenda.phases.listed.confirming()]
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
