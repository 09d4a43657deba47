"""A study in a database keeps the promises of one in a journal; SQLite here, `benchmarks.postgres` elsewhere."""

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from pdsearch.config import Space
from pdsearch.config.ledger_url import read_ledger_url
from pdsearch.errors import ConfigError, StorageError, StorageFullError
from pdsearch.observer import Observer
from pdsearch.search.optuna_backend.database import Database
from pdsearch.search.study import open_study
from pdsearch.verify import check_invariants
from tests.faults import scripted_study
from tests.search.test_restore import told

LIMIT = "pragma max_page_count = 40"


def space(root: Path, **search: object) -> Space:
    return scripted_study.space(root / "runs", ledger=f"sqlite:///{root}/study.db", **search)


def opened(where: Space) -> list[object]:
    with open_study(where, Observer()) as study:
        return told({"search": study.agenda.search.study, "baseline": study.agenda.fair.study})


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
    scripted_study.run(space(root))
    scripted_study.run(scripted_study.space(root / "beside"))
    here, beside = (scripted_study.read(root / name) for name in ("runs", "beside"))
    assert {r["key"]: r["values"] for r in here.values()} == {r["key"]: r["values"] for r in beside.values()}
    assert not (root / "runs" / "study" / "journal.log").exists()
    before = opened(space(root))
    assert opened(space(root)) == before
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
    where = space(root)
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
    scripted_study.run(space(root, trials=1))
    lying(root)
    opened(space(root, trials=1))
    assert [name.partition("/")[2] for name in names(root)] == [
        "search",
        "unpruned",
        "search~2",
        "unpruned~2",
    ]


def test_a_database_emptied_by_half_is_one_message(root: Path) -> None:
    scripted_study.run(space(root, trials=1))
    execute(root, "delete from studies")
    with pytest.raises(StorageError, match="no study can be begun there"):
        opened(space(root, trials=1))


def test_two_studies_of_one_name_share_a_database(root: Path) -> None:
    other = scripted_study.space(root / "other", ledger=f"sqlite:///{root}/study.db", trials=2)
    scripted_study.run(space(root))
    before = opened(space(root))
    scripted_study.run(other)
    assert opened(space(root)) == before
    assert check_invariants(root / "other" / "study") == []
    assert len(set(names(root))) == 4


def test_a_trial_cut_off_is_asked_again(root: Path) -> None:
    where = space(root)
    with open_study(where, Observer()) as study:
        worker = scripted_study.Worker(study)
        while (job := study.agenda.next()) is not None and job.id != "search-00002":
            study.agenda.finish(job, scripted_study.outcome(study, job, worker))
    assert job is not None
    with open_study(where, Observer()) as study:
        (waiting,) = study.agenda.search.study.get_trials(states=(TrialState.WAITING,))
        assert waiting.system_attrs["fixed_params"] == job.params


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
    scripted_study.run(space(root, trials=1))
    execute(root, "update alembic_version set version_num = 'v9.9.9.z'")
    with pytest.raises(StorageError, match="version"):
        opened(space(root, trials=1))


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
