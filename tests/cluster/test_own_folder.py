"""A worker's folder and imports last, whatever becomes of the folder that its job was sent with."""

import importlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdsearch.cluster import own_folder
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
    os.chdir("/")


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
    os.chdir("/")


def test_one_that_stays_away_is_an_error_and_leaves_nothing(
    sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_folder, "_PATIENCE_S", 0.0)
    shutil.rmtree(sent)
    with pytest.raises(FileNotFoundError, match="sent"):
        OwnFolder(sent=True)
    assert [*tmp_path.glob("pds-*")] == []
    os.chdir("/")


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
    os.chdir("/")


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
    os.chdir("/")
