"""Rules of records: each is intact, a finished one matches its asked one, each key is finished once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pdsearch.io import Place
from pdsearch.io.record_files import read_asked, read_finished, read_retries
from pdsearch.specs import own_code
from pdsearch.trial_record import AskedRecord, TrialRecord, counted
from pdsearch.verify.broken import Breach

_CODES = ("code", "code_before")
_SAME = ("kind", "number", "key", "params", "spec")


@dataclass(frozen=True)
class StudyRecords:
    """A study's records by id."""

    asked: Mapping[str, AskedRecord]
    finished: Mapping[str, TrialRecord]


def read(folder: Place, space: Mapping[str, object], *, live: bool) -> tuple[StudyRecords, list[Breach]]:
    """Return the records of a folder and the violations in its files."""
    asked, finished, wanted = read_asked(folder, space), read_finished(folder, space), read_retries(folder)
    broken = [
        Breach("records", item.reason, str(item.path), mended=not live and not item.newer)
        for item in (*asked.broken, *finished.broken, *wanted.broken)
    ]
    return StudyRecords(asked.found, counted(finished.found, wanted.found)), broken


def check(found: StudyRecords, about: Mapping[str, Any]) -> Iterator[Breach]:
    """Check the records against one another, and their own code against what the study accepted."""
    versions = [
        about.get("code", {}),
        *(change[name] for change in about.get("changes", ()) for name in _CODES),
    ]
    accepted = {code for version in versions for code in version.values()}
    done: dict[tuple[str, str], str] = {}
    for name, record in found.finished.items():
        asked = found.asked.get(name)
        for field in _SAME if asked else ():
            if asked and getattr(asked, field) != getattr(record, field):
                yield Breach("records", f"{field} is not what was asked", name)
        yield from _reports(name, record)
        if "code" in about and not own_code(record.spec) <= accepted:
            yield Breach("code", "ran with own code that the study never accepted", name)
        if record.state == "failed":
            continue  # It may be retried under the same key.
        twin = done.setdefault((record.kind, record.key), name)
        if twin != name:
            yield Breach("once", f"finished before, as {twin}", name)


def _reports(name: str, record: TrialRecord) -> Iterator[Breach]:
    epochs = [report.epoch for report in record.reports]
    if epochs != list(range(1, len(epochs) + 1)):
        yield Breach("reports", f"epochs do not follow one another: {epochs}", name)
