"""Files of an enemy: whoever reads them touches nothing outside, runs nothing, and is told what is wrong."""

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pdsearch.config import load, parse
from pdsearch.data.readers.download import PublishedFile, members
from pdsearch.errors import ConfigError, DataError
from pdsearch.models.checkpoint_file import read_state_dicts
from pdsearch.search.verify import check_invariants
from pdsearch.training.checkpoint import Checkpoint
from tests.config.documents import document
from tests.end_to_end.program import environment
from tests.faults import scripted_study

NAMES = ["../canary", "/tmp/canary", "a/../../canary", ".canary", "..", "a\x00b", "canary/", "a\\b", "~"]


class Bomb:
    """Something that would leave a file behind when unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self.canary,))


@pytest.mark.parametrize("name", NAMES)
def test_a_study_cannot_be_named_out_of_its_storage(name: str) -> None:
    with pytest.raises(ConfigError):
        parse(document(study=name))


@pytest.mark.parametrize(
    "tag", ["object/apply:os.mkdir [{}]", "object/new:os.mkdir [{}]", "name:os.mkdir {}"]
)
@pytest.mark.parametrize("place", ["study: ", "data: {source: ", "space: {prune.ratio: ", "- "])
def test_tags_of_yaml_run_nothing(tmp_path: Path, tag: str, place: str) -> None:
    file, canary = tmp_path / "space.yaml", tmp_path / "canary"
    file.write_text(f"{place}!!python/{tag.format(canary)}{'}' * place.count('{')}\n")
    with pytest.raises(ConfigError):
        load(file)
    assert not canary.exists()


def hostile(kind: bytes, name: str, target: str = "") -> tuple[tarfile.TarInfo, io.BytesIO]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, 0 if target else 3
    return member, io.BytesIO(b"" if target else b"out")


def test_an_archive_reaches_nothing_outside(tmp_path: Path) -> None:
    root, canary = tmp_path / "root", tmp_path / "canary"
    root.mkdir()
    canary.write_bytes(b"alive")
    with tarfile.open(root / "set.tar.gz", "w:gz") as archive:
        for name in ("../canary", str(canary), "set/../../canary", "set/a/../../../canary"):
            archive.addfile(*hostile(tarfile.REGTYPE, name))
        archive.addfile(*hostile(tarfile.SYMTYPE, "set/a", str(canary)))
        archive.addfile(*hostile(tarfile.LNKTYPE, "set/b", "../canary"))
        archive.addfile(*hostile(tarfile.FIFOTYPE, "set/c", "x"))
    with pytest.raises(DataError, match="lacks a, b, c"):
        members(
            PublishedFile("http://127.0.0.1:9/set.tar.gz", "0" * 64),
            root,
            "set",
            ("a", "b", "c"),
            download=False,
        )
    assert canary.read_bytes() == b"alive"
    assert [item.name for item in root.iterdir()] == ["set.tar.gz"]


def lying_header(size: int) -> bytes:
    return size.to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' + b"\0" * 64


def shape_of_a_giant() -> bytes:
    text = json.dumps({"a": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 2**62]}}).encode()
    return len(text).to_bytes(8, "little") + text + b"\0" * 64


@pytest.mark.parametrize(
    "content",
    [
        lying_header(2**63 - 1),
        lying_header(2**40),
        lying_header(99_999_999),
        shape_of_a_giant(),
        b"",
        b"\xff" * 8,
    ],
    ids=["2^63", "2^40", "100 MB", "a giant's shape", "empty", "all ones"],
)
def test_a_header_that_lies_about_its_size_is_broken_and_takes_no_memory(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "progress.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match="broken"):
        read_state_dicts(path)
    assert Checkpoint(tmp_path).load("any") is None


def test_progress_that_is_a_link_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_bytes(b"alive")
    checkpoint = Checkpoint(tmp_path / "progress")
    (tmp_path / "progress").mkdir()
    Path(str(checkpoint.path)).symlink_to(canary)
    assert checkpoint.load("any") is None
    checkpoint.save("mine", {"a": torch.ones(2)}, {"epoch": 1})
    assert checkpoint.load("mine") is not None
    assert canary.read_bytes() == b"alive"


def pickled(study: Path, canary: Path) -> None:
    """Put what unpickles into everything that may hold anything, and where other tools keep their pickles."""
    for name in ("tuner.pkl", "searcher-state.pkl", "study.pkl", "tune/tuner.pkl", "trials/x.finished.json"):
        (study / name).parent.mkdir(exist_ok=True)
        (study / name).write_bytes(pickle.dumps(Bomb(canary)))
    for path in (study.parent / "artifacts").rglob("*.*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(pickle.dumps(Bomb(canary)))


def linked(study: Path, canary: Path) -> None:
    """Put links to the canary's folder into every folder."""
    for folder in [study, study / "trials", *(study.parent / "artifacts").rglob("*")]:
        if folder.is_dir():
            (folder / "link").symlink_to(canary.parent)
            (folder / ".link.tmp").symlink_to(canary)


@pytest.mark.parametrize("harm", [pickled, linked])
def test_a_study_an_enemy_wrote_to_is_read_without_harm(
    root: Path, harm: Callable[[Path, Path], None]
) -> None:
    where, outside = scripted_study.space(root / "runs"), root / "outside"
    scripted_study.run(where)
    outside.mkdir()
    (outside / "kept").write_bytes(b"alive")
    harm(root / "runs" / "study", outside / "canary")
    before = scripted_study.records(root / "runs")
    check_invariants(root / "runs" / "study", deep=True)
    scripted_study.run(where)
    assert sorted(path.name for path in outside.iterdir()) == ["kept"]
    assert {n: c for n, c in before.items() if n != "x.finished.json"}.items() <= scripted_study.records(
        root / "runs"
    ).items()


VERBS = [
    ("rank", "runs/study"),
    ("verify", "runs/study", "--deep"),
    ("cache", "ls", "runs"),
    ("cache", "gc", "runs"),
]
SPY = """
import sys
sys.addaudithook(lambda event, _: event == "pickle.find_class" and sys.exit("UNPICKLED"))
from pdsearch.cli.main import main
codes = [main(words) for words in {verbs}]
sys.exit(0 if set(codes) <= {{0, 1, 2, 74}} else str(codes))
"""


def test_no_verb_unpickles_anything(root: Path) -> None:
    scripted_study.run(scripted_study.space(root / "runs"))
    pickled(root / "runs" / "study", root / "canary")
    done = subprocess.run(
        [sys.executable, "-c", SPY.format(verbs=VERBS)],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert not (root / "canary").exists()


def test_a_record_that_names_an_artifact_outside_is_refused(root: Path) -> None:
    scripted_study.run(scripted_study.space(root / "runs", trials=1))
    name = next((root / "runs" / "study" / "trials").glob("search-*.finished.json"))
    record = json.loads(name.read_text())
    record["artifacts"][0]["key"] = "../../../outside"
    name.write_text(json.dumps(record))
    breaches = check_invariants(root / "runs" / "study", deep=True)
    assert any("artifacts[0].key" in str(breach) and "outside" in str(breach) for breach in breaches)
