"""How far the live screen's estimate of the time left is off: a finished study is replayed, job by job.

    python -m benchmarks.forecast runs/digits

For each phase of sampled or listed trials it prints, at a quarter, a half and three quarters of its jobs, the seconds
that the screen told and those that the phase still took. Only studies that ran without an interruption say something.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

from pdsearch.cli.progress import Tally
from pdsearch.protocol import Job, Outcome
from pdsearch.records.trial_record import TrialRecord
from pdsearch.search.records import Records

_AT = (0.25, 0.5, 0.75)


def _seconds(moment: str | None) -> float:
    return datetime.fromisoformat(str(moment)).timestamp()


def told(records: list[TrialRecord]) -> Iterator[tuple[float, float | None, float]]:
    """Yield (share of the jobs done, seconds told, seconds it took) of one phase."""
    moments = [(_seconds(record.started_at), 0, record) for record in records]
    moments += [(_seconds(record.finished_at), 1, record) for record in records]
    last, tally, ended = max(moment for moment, _, _ in moments), Tally(), 0
    tally.phase("search", len(records), 0)
    for moment, is_end, record in sorted(moments, key=lambda found: found[:2]):
        job = Job(record.id, record.kind, record.spec, record.key)
        with patch.object(time, "monotonic", return_value=moment):
            if not is_end:
                tally.started(job)
                continue
            tally.ended(job, Outcome("complete"), replace(record, state="complete"))
            ended += 1
            if ended in {round(share * len(records)) for share in _AT}:
                yield ended / len(records), tally.left_s(), last - moment


def main() -> None:
    """Print a table of each study."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", type=Path, nargs="+")
    for study in parser.parse_args().studies:
        finished = Records(study / "trials").finished.values()
        for kind in ("search", "confirm"):
            records = [record for record in finished if record.kind == kind]
            for share, guess, took in told(records):
                shown = "-" if guess is None else f"{guess:.0f}"
                print(
                    f"{study.name}  {kind}  {len(records)} jobs  {share:.0%} done  told {shown} s  took {took:.0f} s"
                )


if __name__ == "__main__":
    main()
