"""A session's temporary files go with it, though Ray's agents write while they go; a killed one's with the next."""

import multiprocessing
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from pdsearch.artifacts import draft_name, is_orphan
from pdsearch.cluster.connection import supervisor, temporary
from pdsearch.cluster.connection.supervisor import remove_folder
from pdsearch.cluster.connection.temporary import make_folder


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
