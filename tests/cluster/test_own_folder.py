"""Folders of workers and of Ray: made, copied, and removed."""

import importlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdsearch.artifacts import draft_name, is_orphan
from pdsearch.cluster import own_folder
from pdsearch.cluster.connection import supervisor, temporary
from pdsearch.cluster.connection.supervisor import remove_folder
from pdsearch.cluster.connection.temporary import make_folder
from pdsearch.cluster.own_folder import OwnFolder


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as Ray unpacks it, current and first among those that Python imports from; with a package in it."""
    folder = tmp_path / "sent"
    unpack(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), "", "lib", *sys.path])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), "/elsewhere"]))
    monkeypatch.setenv("PWD", str(folder))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    yield folder
    os.chdir("/")  # The current folder may be gone.
    for name in [name for name in sys.modules if name.partition(".")[0] in ("own_net", "own_lib")]:
        del sys.modules[name]


def unpack(folder: Path) -> None:
    for name, content in (
        ("own_net/__init__.py", "early = 1"),
        ("own_net/late.py", "late = 2"),
        ("lib/own_lib.py", "found = 3"),
        ("table.txt", "rows"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def test_what_was_sent_lasts_when_its_folder_goes(sent: Path) -> None:
    importlib.import_module("own_net")  # As pdsearch itself is, where it was sent along.
    own = OwnFolder(sent=True)
    shutil.rmtree(sent)
    own.stay()
    assert Path.cwd() != sent
    assert Path("table.txt").read_text() == "rows"
    assert importlib.import_module("own_net.late").late == 2
    assert importlib.import_module("own_lib").found == 3
    assert str(sent) not in sys.path
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [os.getcwd(), "/elsewhere"]
    own.close()
    with pytest.raises(FileNotFoundError):
        os.getcwd()


def test_a_folder_that_is_just_being_written_anew_is_waited_for(sent: Path) -> None:
    shutil.rmtree(sent)

    def write() -> None:
        time.sleep(0.1)
        unpack(sent)

    writer = threading.Thread(target=write)
    writer.start()
    own = OwnFolder(sent=True)
    writer.join()
    assert Path("own_net/__init__.py").exists()
    own.close()


def test_one_that_stays_away_is_an_error_and_leaves_nothing(
    sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_folder, "_PATIENCE_S", 0.0)
    shutil.rmtree(sent)
    with pytest.raises(FileNotFoundError, match="sent"):
        OwnFolder(sent=True)
    assert [*tmp_path.glob("pds-*")] == []


def test_a_copy_of_a_folder_that_changed_meanwhile_is_made_again(
    sent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_folder, "_PAUSE_S", 0.0)
    link, linked = own_folder._link, []

    def changing(source: str, target: str) -> str:
        linked.append(source)
        if len(linked) == 1:
            (sent / "more.txt").write_text("more")
        return link(source, target)

    monkeypatch.setattr(own_folder, "_link", changing)
    own = OwnFolder(sent=True)
    assert len(linked) > len([path for path in sent.rglob("*") if path.is_file()])
    assert Path("more.txt").read_text() == "more"
    own.close()


def test_on_one_machine_the_folder_stays_the_user_s_own_until_it_goes(sent: Path) -> None:
    own = OwnFolder(sent=False)
    own.stay()
    assert Path.cwd() == sent
    assert "" not in sys.path
    assert str(sent / "lib") in sys.path
    shutil.rmtree(sent)
    own.stay()
    assert Path.cwd() != sent
    assert [*Path.cwd().iterdir()]
    own.close()


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(temporary, "_SOCKET_LIMIT", 1000)
    monkeypatch.setattr(supervisor, "_TRY_AGAIN_S", 0.0)
    return tmp_path


def filled(folder: Path) -> None:
    (folder / "session_1" / "logs").mkdir(parents=True)
    (folder / "session_1" / "logs" / "x.log").write_text("")
    (folder / "session_latest").symlink_to(folder / "session_1")


def test_all_of_it_goes(base: Path) -> None:
    folder = make_folder()
    assert folder.parent == base
    filled(folder)
    remove_folder(folder)
    assert [*base.iterdir()] == []
    remove_folder(folder)


def test_what_is_written_while_it_goes_goes_too(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, remove, times = make_folder(), shutil.rmtree, []
    filled(folder)

    def removing(path: Path, *, ignore_errors: bool) -> None:
        remove(path, ignore_errors=ignore_errors)
        times.append(path)
        if len(times) < 3:
            (folder / "session_1").mkdir()

    monkeypatch.setattr(shutil, "rmtree", removing)
    remove_folder(folder)
    assert len(times) == 3
    assert [*base.iterdir()] == []


def test_what_cannot_be_removed_is_left_to_the_next_run(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder()
    filled(folder)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        remove_folder(folder)
    assert (folder / "owner").exists()
    monkeypatch.setattr(temporary, "is_orphan", lambda _: True)
    other = make_folder()
    assert [*base.iterdir()] == [other]


def dead_name(path: Path) -> None:
    path.write_text(draft_name())


def test_folders_of_killed_drivers_are_removed_and_those_of_the_living_are_not(base: Path) -> None:
    for name in ("pds-dead", "pds-living", "pds-unknown"):
        (base / name).mkdir()
    writer = multiprocessing.get_context("fork").Process(
        target=dead_name, args=(base / "pds-dead" / "owner",)
    )
    writer.start()
    writer.join()
    (base / "pds-living" / "owner").write_text(draft_name())
    made = make_folder()
    assert {path.name for path in base.iterdir()} == {"pds-living", "pds-unknown", made.name}
    assert not is_orphan((made / "owner").read_text())


def test_an_old_folder_whose_owner_was_killed_before_it_wrote_its_name_is_removed(base: Path) -> None:
    """Neither one that may still be written, nor one that holds anything."""
    long_ago = time.time() - 2 * temporary._UNOWNED_S
    for name in ("pds-old", "pds-torn", "pds-new", "pds-full"):
        (base / name).mkdir()
    (base / "pds-torn" / "owner").write_text("")
    (base / "pds-full" / "something").write_text("")
    for name in ("pds-old", "pds-torn", "pds-full"):
        os.utime(base / name, (long_ago, long_ago))
    made = make_folder()
    assert {path.name for path in base.iterdir()} == {"pds-new", "pds-full", made.name}
