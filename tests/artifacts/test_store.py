"""An entry is there whole or not at all, whatever was cut, flipped or removed, and whoever raced."""

import errno
import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pdsearch.artifacts import Entry, Store, stage_key
from pdsearch.artifacts.manifest import CorruptError, Manifest, read_manifest
from pdsearch.artifacts.owner import draft_name
from pdsearch.errors import StorageError, StorageFullError
from pdsearch.specs import Json
from tests.artifacts.get_or_build import get_or_build

KEY = stage_key("teacher", 1, fields=None, upstream={})
OTHER = stage_key("teacher", 2, fields=None, upstream={})
PAYLOAD = bytes(range(256)) * 8


def write(folder: Path) -> None:
    (folder / "weights").write_bytes(PAYLOAD)
    (folder / "more").mkdir()
    (folder / "more" / "log").write_text("three epochs")


def build(folder: Path) -> dict[str, Json]:
    write(folder)
    return {}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def entry(store: Store) -> Entry:
    return store.publish("teacher", KEY, write, {"epochs": 3})


def fresh(store: Store) -> Store:
    return Store(store.root)


def test_an_entry_lies_in_a_folder_of_its_stage_and_key(store: Store, entry: Entry) -> None:
    assert entry.folder == store.root / "teacher" / KEY[:2] / KEY
    assert list(store.entries()) == list(store.entries("teacher")) == [("teacher", KEY)]


def test_meta_may_be_filled_by_the_writer(store: Store) -> None:
    meta: dict[str, Json] = {}
    entry = store.publish("teacher", KEY, lambda _: meta.update(seen=1), meta)
    assert entry.meta == {"seen": 1}


def test_permissions_follow_the_umask(store: Store) -> None:
    before = os.umask(0o027)
    try:
        entry = store.publish("teacher", KEY, write, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE(entry.folder.stat().st_mode) == 0o750
    assert stat.S_IMODE(entry.path("weights").stat().st_mode) == 0o440


def _replace(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def _flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset % len(content)] ^= 1
    _replace(path, bytes(content))


def _cut(path: Path, offset: int) -> None:
    _replace(path, path.read_bytes()[: offset % path.stat().st_size])


def _delete(path: Path, _: int) -> None:
    path.unlink()


def _folder(path: Path, _: int) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path, _: int) -> None:
    target = path.with_name("elsewhere")
    path.rename(target)
    path.symlink_to(target)


DAMAGES: list[tuple[Callable[[Path, int], None], int]] = [(_delete, 0), (_folder, 0), (_link, 0)]
DAMAGES += [(_flip, 0), (_flip, 1), (_flip, 700), (_flip, -1), (_cut, 0), (_cut, 1), (_cut, 150), (_cut, -1)]


@pytest.mark.parametrize("name", ["manifest.json", "weights", "more/log"])
@pytest.mark.parametrize(("damage", "offset"), DAMAGES)
def test_damage_is_a_miss_kept_aside_and_rebuilt(
    store: Store, entry: Entry, name: str, damage: Callable[[Path, int], None], offset: int
) -> None:
    damage(entry.path(name), offset)
    assert store.find("teacher", KEY) is None
    aside = list((store.root / ".quarantine").iterdir())
    assert [item.name[: len("teacher-") + 64] for item in aside] == [f"teacher-{KEY}"]
    again, hit = get_or_build(store, "teacher", KEY, build)
    assert not hit
    assert again.path("weights").read_bytes() == PAYLOAD


@pytest.mark.parametrize("offset", range(0, 500, 17))
def test_every_byte_of_the_manifest_counts(store: Store, entry: Entry, offset: int) -> None:
    _flip(entry.path("manifest.json"), offset)
    assert fresh(store).find("teacher", KEY) is None


def test_an_entry_under_another_name_is_a_miss(store: Store, entry: Entry) -> None:
    target = store.root / "teacher" / OTHER[:2] / OTHER
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(entry.folder, target)
    assert store.find("teacher", OTHER) is None
    assert store.find("teacher", KEY) is not None


def test_an_unknown_format_is_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdsearch.artifacts.manifest._FORMAT", 2)
    store.publish("teacher", KEY, write, {})
    monkeypatch.undo()
    with pytest.raises(StorageError, match="format 2"):
        fresh(store).find("teacher", KEY)
    assert not (store.root / ".quarantine").exists()


def test_a_broken_entry_does_not_win(store: Store, entry: Entry) -> None:
    _cut(entry.path("weights"), 5)
    again = fresh(store).publish("teacher", KEY, write, {"epochs": 4})
    assert again.meta == {"epochs": 4}
    assert again.path("weights").read_bytes() == PAYLOAD


def test_a_good_entry_taken_for_the_broken_one_goes_back(
    store: Store, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rebuilt_by_another(folder: Path, stage: str, key: str) -> Manifest:
        monkeypatch.undo()
        read_manifest(folder, stage, key)
        raise CorruptError("as it was before the other process rebuilt it")

    reader = fresh(store)
    monkeypatch.setattr("pdsearch.artifacts.manifest.read_manifest", rebuilt_by_another)
    assert reader.find("teacher", KEY) is None
    assert reader.find("teacher", KEY) == entry


def test_two_processes_publish_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pdsearch.artifacts import Store\n"
        "store = Store(sys.argv[1])\n"
        "for i in range(40):\n"
        "    write = lambda folder: (folder / 'x').write_text(sys.argv[2])\n"
        "    entry = store.publish('teacher', f'{i:064x}', write, {})\n"
        "    print(entry.path('x').read_text())\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    racers = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "ab"]
    answers = [racer.communicate()[0].split() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert answers[0] == answers[1]
    assert len(answers[0]) == 40


def test_a_verified_entry_is_not_hashed_again(
    store: Store, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr("pdsearch.artifacts.manifest._sha256", lambda path: hashed.append(path))
    assert store.find("teacher", KEY) == entry
    assert hashed == []
    assert fresh(store).find("teacher", KEY) is None
    assert hashed


def test_a_payload_that_links_out_is_refused(store: Store) -> None:
    with pytest.raises(StorageError, match="files and folders only"):
        store.publish("teacher", KEY, lambda folder: (folder / "x").symlink_to("/"), {})
    assert store.find("teacher", KEY) is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_so_and_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageFullError, match="free some space"):
        store.publish("teacher", KEY, write, {})
    monkeypatch.undo()
    assert store.find("teacher", KEY) is None
    assert list((store.root / ".tmp").iterdir()) == []


def test_remove_and_size(store: Store, entry: Entry) -> None:
    assert store.size("teacher", KEY) > len(PAYLOAD)
    reader = entry.path("weights").open("rb")
    assert store.remove("teacher", KEY)
    assert not store.remove("teacher", KEY)
    with reader:
        assert reader.read() == PAYLOAD
    assert (store.find("teacher", KEY), store.size("teacher", KEY)) == (None, 0)


FORK = multiprocessing.get_context("fork")


def _cut_off(store: Store) -> None:
    store.lease("teacher", KEY).try_acquire()
    (store.root / ".leases" / f".{draft_name()}").write_text("half")
    (store.root / ".tmp" / draft_name()).mkdir(parents=True)
    os._exit(0)


def test_what_ended_processes_left_is_named_and_swept(store: Store) -> None:
    assert (store.leftovers(), store.sweep()) == ([], 0)
    assert not store.root.exists()
    process = FORK.Process(target=_cut_off, args=(store,))
    process.start()
    process.join()
    assert store.building() == set()
    assert len(store.leftovers()) == 2
    assert store.sweep() == 3
    assert [path for path in store.root.rglob("*") if path.name not in (".leases", ".tmp")] == []


def test_who_works_here_is_left_alone_and_who_works_elsewhere_for_a_day(store: Store) -> None:
    lease = store.lease("teacher", KEY)
    assert lease.try_acquire()
    for name in ("old", "new", draft_name()):
        (store.root / ".tmp" / name).mkdir(parents=True)
    os.utime(store.root / ".tmp" / "old", (0, 0))
    assert store.sweep() == 1
    assert len(list((store.root / ".tmp").iterdir())) == 2
    assert lease.held
    lease.release()
