from pathlib import Path

import pytest

from pdsearch.search.records import Records
from pdsearch.verify import check_invariants
from tests.faults import scripted_study


def rules(study: Path) -> set[str]:
    return {item.rule for item in check_invariants(study)}


def test_a_journal_that_is_gone_or_cut_is_seen_and_mended_by_a_run(study: Path) -> None:
    journal = study / "journal.log"
    content = journal.read_bytes()
    journal.unlink()
    assert rules(study) == {"ledger", "best"}
    journal.write_bytes(content[: len(content) // 2])
    assert "ledger" in rules(study)
    assert all(item.mended for item in check_invariants(study))
    scripted_study.run(scripted_study.space(study.parent))
    assert rules(study) == set()


def test_an_altered_value_is_seen(study: Path) -> None:
    journal = study / "journal.log"
    content = journal.read_bytes()
    journal.write_bytes(content.replace(b'"values":[0.', b'"values":[9.'))
    assert rules(study) == {"ledger", "best"}


def test_a_trial_without_a_record_is_seen(study: Path) -> None:
    name = next(n for n, r in Records(study / "trials").finished.items() if r.state == "stopped")
    (study / "trials" / f"{name}.finished.json").unlink()
    assert [(item.rule, item.where) for item in check_invariants(study)] == [("ledger", name)]


@pytest.mark.parametrize("junk", [b'{"op_code": 4}\n', b'{"op_code":99,"worker_id":"a"}\n'])
def test_lines_that_make_no_sense_are_a_finding_and_no_traceback(study: Path, junk: bytes) -> None:
    journal = study / "journal.log"
    journal.write_bytes(junk + journal.read_bytes())
    assert rules(study) <= {"ledger", "best"}
