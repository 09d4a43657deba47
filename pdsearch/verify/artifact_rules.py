"""Rule of artifacts: each that a study used is still what was published."""

from collections.abc import Iterable, Iterator

from pdsearch.artifacts import open_store
from pdsearch.io import Place
from pdsearch.trial_record import TrialRecord
from pdsearch.verify.broken import Breach

__all__ = ["check"]


def check(root: Place, records: Iterable[TrialRecord], *, deep: bool) -> Iterator[Breach]:
    """Check the artifacts that records name; one that was collected is no fault, it is made again when needed.

    Args:
        root: Of the store.
        records: Finished records.
        deep: Hash the files; otherwise only the manifest and the sizes are compared.
    """
    store = open_store(root)
    used = {(use.stage, use.key) for record in records for use in record.artifacts}
    for stage, key in sorted(used):
        complaint = store.complaint(stage, key, deep=deep)
        if complaint is not None:
            yield Breach("artifacts", complaint, f"{stage}/{key}")
