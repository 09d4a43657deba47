"""Rule of artifacts: each that a study used is unchanged since it was published."""

from collections.abc import Iterable, Iterator

from pdsearch.artifacts import open_store
from pdsearch.io import Place
from pdsearch.trial_record import TrialRecord
from pdsearch.verify.broken import Breach


def check(root: Place, records: Iterable[TrialRecord], *, deep: bool) -> Iterator[Breach]:
    """Check the artifacts that records name; a garbage-collected one is no fault, it is built again when needed.

    Args:
        root: Root of the store.
        records: Finished records.
        deep: Whether to hash the files; otherwise only the manifest and the sizes are compared.
    """
    store = open_store(root)
    used = {(use.stage, use.key) for record in records for use in record.artifacts}
    for stage, key in sorted(used):
        complaint = store.complaint(stage, key, deep=deep)
        if complaint is not None:
            yield Breach("artifacts", complaint, f"{stage}/{key}")
