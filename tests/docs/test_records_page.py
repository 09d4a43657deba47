import re
from pathlib import Path

from pdsearch.records.trial_record import record_to_json
from tests.architecture.tree import ROOT
from tests.search.scripted_trials import ledger, run_one, space


def test_every_field_of_a_record_is_described(tmp_path: Path) -> None:
    page = (ROOT / "docs/records.md").read_text(encoding="utf-8")
    described = set(re.findall(r"`(\w+)`", page))
    record = record_to_json(run_one(ledger(space(tmp_path))))
    assert set(record) <= described
    for part in ("cost", "teacher", "student"):
        assert set(record[part]) <= described
