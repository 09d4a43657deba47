"""Whether anything came of a study: one in which all that was tried has failed does not end with 0."""

from collections.abc import Iterable

from pdsearch.errors import FailureLimitError, PdsearchError, TrialError
from pdsearch.space import Space
from pdsearch.trial_record import TrialRecord

__all__ = ["nothing_came"]

_HINT = "mend the cause, then run the same command again"


def nothing_came(records: Iterable[TrialRecord], space: Space) -> PdsearchError | None:
    """Return the error that a study ends with in which every trial has failed; None where one has not.

    Args:
        records: What has finished.
        space: What was searched.
    """
    # Without validation images nothing is searched, and every configuration is confirmed at once.
    kind = "search" if space.validated or space.confirm is None else "confirm"
    tried = [record for record in records if record.kind == kind]
    if not tried or any(record.state != "failed" for record in tried):
        return None
    last = max(tried, key=lambda record: record.finished_at or "")
    if not space.parameters:
        return TrialError(f"the only configuration failed: {last.reason}", hint=_HINT)
    return FailureLimitError(
        f"all {len(tried)} trials failed; the last one, {last.id}: {last.reason}", hint=_HINT
    )
