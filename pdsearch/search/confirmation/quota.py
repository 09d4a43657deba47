"""Number of trials that the unpruned teacher still gets, to have as many as the median teacher."""

import statistics
from collections import Counter
from collections.abc import Iterable

from pdsearch.objectives import counts
from pdsearch.trial_record import TrialRecord

__all__ = ["owed"]


def owed(records: Iterable[TrialRecord]) -> int:
    """Return how many trials the unpruned teacher lacks, beside those that the search happened to give it.

    Args:
        records: What has finished; search trials that had a teacher and did not fail count.
    """
    counted = (record for record in records if record.kind == "search" and counts(record.state))
    taught = [record.teacher for record in counted if record.teacher]
    numbers = Counter(teacher.config for teacher in taught)
    median = int(statistics.median_high(numbers.values())) if numbers else 0
    return max(0, median - sum(teacher.method is None for teacher in taught))
