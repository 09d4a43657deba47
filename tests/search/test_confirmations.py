"""What earlier versions confirmed is named as it was; the order and the pairs are tested with the finalists."""

from dataclasses import replace
from pathlib import Path

from pdsearch.search.confirmation.jobs import DerivedJobs
from pdsearch.search.records import Records
from tests.search.scripted_trials import DESCRIBE, ledger, run_one, space
from tests.trial_records import finished


def test_what_was_confirmed_as_one_network_keeps_its_key_and_is_not_repeated(tmp_path: Path) -> None:
    kept = ledger(space(tmp_path))
    for _ in range(8):
        run_one(kept)
    searched = space(tmp_path, confirm={"teachers": 2, "seeds": 2})
    found = DerivedJobs(searched, DESCRIBE, Records(tmp_path / searched.study / "trials"))
    first, *others = jobs = list(found.confirming())
    config = DESCRIBE.config(first.spec)
    spec = replace(first.spec, distill=replace(first.spec.distill, replicas=(1, 2)))
    found.records.finished["confirm-earlier"] = finished(None, config=config, spec=spec)
    again, *rest = found.confirming()
    assert (again.spec, again.key, again.baselines) == (spec, DESCRIBE.key(spec), first.baselines)
    assert again.key not in {job.key for job in jobs}
    assert rest == others, "a seed that was to be trained with it and was not is trained alone"
