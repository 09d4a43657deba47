"""Where the Optuna study lives: a journal beside the records, one elsewhere, or a database."""

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from optuna.storages import BaseStorage

from pdsearch.config import Space
from pdsearch.config.ledger_url import read_ledger_url
from pdsearch.errors import ConfigError, StorageError, StorageFullError, StudyHeldError
from pdsearch.observer import Observer
from pdsearch.search.optuna_backend.database import Database
from pdsearch.search.optuna_backend.journal import DamagedError, open_journal
from pdsearch.search.optuna_backend.storage import JournalStudyStorage, last_home, read_trials
from pdsearch.search.study import open_as_driver
from pdsearch.search.verify import check_invariants
from tests.faults import scripted_study
from tests.search.scripted_trials import ledger, run_one, space
from tests.search.test_rebuild import told


def test_a_study_moves_from_home_to_home_and_back(root: Path) -> None:
    homes = ["journal", f"sqlite:///{root}/a.db", f"journal:///{root}/far/x.log", "journal"]
    for trials, url in enumerate(homes, 1):
        scripted_study.run(scripted_study.space(root, trials=trials, ledger=url))
        assert check_invariants(root / "study") == []
        assert (
            len([t for t in read_trials(last_home(root / "study"))["search"] if t.state != "fail"]) == trials
        )
    assert last_home(root / "study").__str__() == str(root / "study" / "journal.log")


def test_the_home_is_noted_only_where_it_is_elsewhere(root: Path) -> None:
    scripted_study.run(scripted_study.space(root, trials=1))
    note = root / "study" / "ledger.json"
    assert not note.exists()
    scripted_study.run(scripted_study.space(root, trials=1, ledger=f"sqlite:///{root}/a.db"))
    assert json.loads(note.read_text()) == {"url": f"sqlite:///{root}/a.db"}


def test_a_journal_elsewhere_has_one_study_and_one_driver(root: Path) -> None:
    url = f"journal:///{root}/x.log"
    scripted_study.run(scripted_study.space(root / "one", trials=1, ledger=url))
    with pytest.raises(ConfigError, match="another study lives there"):
        scripted_study.run(scripted_study.space(root / "two", trials=2, ledger=url))
    home = last_home(root / "one" / "study")
    with home.kept(), pytest.raises(StudyHeldError), home.kept():
        pass


def test_a_note_that_cannot_be_read_is_a_storage_error(root: Path) -> None:
    scripted_study.run(scripted_study.space(root, trials=1))
    (root / "study" / "ledger.json").write_text('{"ur')
    with pytest.raises(DamagedError):
        last_home(root / "study")


def test_nothing_lives_where_there_is_no_file(tmp_path: Path) -> None:
    assert read_trials(JournalStudyStorage(tmp_path / "journal.log")) == {}


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


def test_what_no_line_can_follow_is_cut_off(tmp_path: Path) -> None:
    lines = begun(tmp_path).splitlines(keepends=True)
    journal = tmp_path / "small" / "journal.log"
    rest = lines[5][:10] + lines[6] + b"".join(lines[7:])
    journal.write_bytes(b"".join(lines[:5]) + rest)
    open_journal(journal)
    assert journal.read_bytes() == b"".join(lines[:5])
    assert journal.with_name("journal.log.torn").read_bytes() == rest + b"\n"


def test_a_lock_that_a_killed_driver_left_is_not_waited_for(tmp_path: Path) -> None:
    begun(tmp_path)
    lock = tmp_path / "small" / "journal.log.lock"
    lock.symlink_to("journal.log")
    assert run_one(ledger(space(tmp_path))).state == "complete"


LIMIT = "pragma max_page_count = 40"


def space_of(root: Path, **search: object) -> Space:
    return scripted_study.space(root / "runs", ledger=f"sqlite:///{root}/study.db", **search)


def opened(where: Space) -> list[object]:
    with open_as_driver(where, Observer()) as study:
        return told({"search": study.scheduler.search.study, "baseline": study.scheduler.unpruned.study})


def names(root: Path) -> list[str]:
    with sqlite3.connect(root / "study.db") as database:
        found = [name for (name,) in database.execute("select study_name from studies order by study_id")]
    database.close()
    return found


def execute(root: Path, statement: str) -> None:
    with sqlite3.connect(root / "study.db") as database:
        database.execute(statement)
    database.close()


def test_a_study_in_a_database_is_the_one_in_a_journal(root: Path) -> None:
    scripted_study.run(space_of(root))
    scripted_study.run(scripted_study.space(root / "beside"))
    here, beside = (scripted_study.read(root / name) for name in ("runs", "beside"))
    assert {r["key"]: r["values"] for r in here.values()} == {r["key"]: r["values"] for r in beside.values()}
    assert not (root / "runs" / "study" / "journal.log").exists()
    before = opened(space_of(root))
    assert opened(space_of(root)) == before
    assert len(names(root)) == 2, "a study that says what the records say is left alone"
    assert check_invariants(root / "runs" / "study", deep=True) == []


def gone(root: Path) -> None:
    (root / "study.db").unlink()


def torn(root: Path) -> None:
    content = (root / "study.db").read_bytes()
    (root / "study.db").write_bytes(content[: len(content) // 2])


def overwritten(root: Path) -> None:
    content = (root / "study.db").read_bytes()
    (root / "study.db").write_bytes(b"no database at all" * 10 + content[180:])


def emptied(root: Path) -> None:
    for table in ("studies", "study_directions", "trials", "trial_values", "trial_params"):
        execute(root, f"delete from {table}")


def lying(root: Path) -> None:
    execute(root, "update trial_values set value = 9.0")


@pytest.mark.parametrize("damage", [gone, torn, overwritten, emptied, lying])
def test_a_database_that_is_gone_or_says_otherwise_is_written_anew(
    root: Path, damage: Callable[[Path], None]
) -> None:
    where = space_of(root)
    scripted_study.run(where)
    before = opened(where)
    damage(root)
    broken = check_invariants(root / "runs" / "study")
    assert {item.rule for item in broken} <= {"ledger", "best"}
    assert broken
    assert all(item.mended for item in broken)
    assert opened(where) == before
    assert check_invariants(root / "runs" / "study") == []


def test_what_is_given_up_stays_for_a_person_to_look_at(root: Path) -> None:
    scripted_study.run(space_of(root, trials=1))
    lying(root)
    opened(space_of(root, trials=1))
    assert [name.partition("/")[2] for name in names(root)] == [
        "search",
        "unpruned",
        "search~2",
        "unpruned~2",
    ]


def test_a_database_emptied_by_half_is_one_message(root: Path) -> None:
    scripted_study.run(space_of(root, trials=1))
    execute(root, "delete from studies")
    with pytest.raises(StorageError, match="no study can be begun there"):
        opened(space_of(root, trials=1))


def test_two_studies_of_one_name_share_a_database(root: Path) -> None:
    other = scripted_study.space(root / "other", ledger=f"sqlite:///{root}/study.db", trials=2)
    scripted_study.run(space_of(root))
    before = opened(space_of(root))
    scripted_study.run(other)
    assert opened(space_of(root)) == before
    assert check_invariants(root / "other" / "study") == []
    assert len(set(names(root))) == 4


def test_a_server_that_does_not_answer_is_one_message(root: Path) -> None:
    where = scripted_study.space(root, ledger="postgresql://me@127.0.0.1:1/db")
    with pytest.raises(
        StorageError, match=r"postgresql://me@127\.0\.0\.1:1/db: the study's database refused"
    ) as e:
        scripted_study.run(where)
    assert e.value.exit_code == 74
    assert scripted_study.records(root) == {}


def test_a_missing_driver_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"pip install 'pdsearch\[postgres\]'"):
        scripted_study.run(scripted_study.space(root, ledger="postgresql://me@127.0.0.1:1/db"))


def test_tables_of_another_version_are_left_alone(root: Path) -> None:
    scripted_study.run(space_of(root, trials=1))
    execute(root, "update alembic_version set version_num = 'v9.9.9.z'")
    with pytest.raises(StorageError, match="version"):
        opened(space_of(root, trials=1))


def fill(storage: BaseStorage) -> None:
    for number in range(100):
        storage.create_new_study([], study_name=f"study-{number}" * 500)


def test_a_full_disk_and_a_refusal_in_the_middle_have_their_exit_codes(root: Path) -> None:
    database = Database(read_ledger_url(f"sqlite:///{root}/x.db"), "study-0")
    with database.kept():
        storage = database.open()
        engine = database._opened[0].engine
        sqlalchemy.event.listen(engine, "checkout", lambda opened, *_: opened.execute(LIMIT))
        with pytest.raises(StorageFullError):
            fill(storage)
        with sqlite3.connect(root / "x.db") as other:
            other.execute("drop table studies")
        other.close()
        with pytest.raises(StorageError, match="no such table"):
            storage.get_all_studies()


def test_a_server_that_went_away_is_waited_for(root: Path) -> None:
    slept: list[float] = []
    database = Database(
        read_ledger_url(f"sqlite:///{root}/x.db"), "study-0", pauses=(1.0, 2.0), sleep=slept.append
    )

    class Dialect:
        """A driver that connects at the third time."""

        loaded_dbapi = sqlite3

        def connect(self, *_: object, **__: object) -> str:
            if len(slept) < 2:
                raise sqlite3.OperationalError("gone")
            return "a connection"

    assert database._patiently(Dialect(), None, (), {}) == "a connection"
    assert slept == [1.0, 2.0]
    slept.clear()
    impatient = Database(read_ledger_url(f"sqlite:///{root}/x.db"), "study-0", pauses=())
    with pytest.raises(sqlite3.OperationalError):
        impatient._patiently(Dialect(), None, (), {})
