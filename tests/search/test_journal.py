"""A journal torn anywhere in its last lines is read again, and written on."""

import shutil
from pathlib import Path

from optuna.trial import TrialState

from pdsearch.search.optuna_backend.journal import open_journal
from tests.search.scripted_trials import ledger, run_one, space

LINES = 2


def begun(folder: Path) -> bytes:
    """A journal of a finished trial and a running one."""
    kept = ledger(space(folder))
    run_one(kept)
    kept.ask()
    return (folder / "small" / "journal.log").read_bytes()


def test_a_journal_torn_at_any_byte_of_its_last_lines_goes_on(tmp_path: Path) -> None:
    content = begun(tmp_path)
    lines = content.splitlines(keepends=True)
    journal = tmp_path / "torn" / "journal.log"
    journal.parent.mkdir()
    for cut in range(len(content) - sum(map(len, lines[-LINES:])), len(content)):
        journal.write_bytes(content[:cut])
        open_journal(journal)
        whole = journal.read_bytes()
        assert content.startswith(whole)
        assert cut - len(whole) < max(map(len, lines))
        assert whole.endswith(b"\n")
        torn = journal.with_name("journal.log.torn")
        assert (torn.read_bytes()[:-1] if torn.exists() else b"") == content[len(whole) : cut]
        torn.unlink(missing_ok=True)


def test_a_ledger_over_a_torn_journal_keeps_what_was_whole(tmp_path: Path) -> None:
    content = begun(tmp_path / "whole")
    last = content.splitlines(keepends=True)[-1]
    for cut in (1, len(last) // 2, len(last)):
        folder = tmp_path / str(cut)
        shutil.copytree(tmp_path / "whole", folder)
        (folder / "small" / "journal.log").write_bytes(content[:-cut])
        kept = ledger(space(folder))
        assert [t.state for t in kept.study.trials[:2]] == [TrialState.COMPLETE, TrialState.FAIL]
        assert run_one(kept).state == "complete"
        assert kept.finished == 2


def test_what_no_line_can_follow_is_cut_off(tmp_path: Path) -> None:
    lines = begun(tmp_path).splitlines(keepends=True)
    journal = tmp_path / "small" / "journal.log"
    rest = lines[5][:10] + lines[6] + b"".join(lines[7:])
    journal.write_bytes(b"".join(lines[:5]) + rest)
    open_journal(journal)
    assert journal.read_bytes() == b"".join(lines[:5])
    assert journal.with_name("journal.log.torn").read_bytes() == rest + b"\n"


def test_a_whole_journal_is_left_alone(tmp_path: Path) -> None:
    content = begun(tmp_path)
    journal = tmp_path / "small" / "journal.log"
    open_journal(journal)
    assert journal.read_bytes() == content
    assert not journal.with_name("journal.log.torn").exists()


def test_a_lock_that_a_killed_driver_left_is_not_waited_for(tmp_path: Path) -> None:
    begun(tmp_path)
    lock = tmp_path / "small" / "journal.log.lock"
    lock.symlink_to("journal.log")
    assert run_one(ledger(space(tmp_path))).state == "complete"
