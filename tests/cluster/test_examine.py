"""A node unfit for trials says why before it is given one."""

import errno
import importlib.metadata
import importlib.util
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pdsearch.cluster import examine as module
from pdsearch.cluster.examine import Asked, examine, trial_computes_bf16, versions_here
from pdsearch.io import StorageDeniedError, entry_names, place, remove, replace
from pdsearch.user_code import source_hash
from tests.s3_server import SECRET, S3Server
from tests.some import some

CODE = "pdsearch.user_code:is_dotted"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.setattr(module, "_SEEN_WITHIN_S", 0.0)
    (tmp_path / "study").mkdir()
    marker = tmp_path / "study" / ".nodes.tmp"
    marker.write_text("token")
    return {
        "versions": versions_here(),
        "root": str(tmp_path),
        "marker": str(marker),
        "token": "token",
        "code": {},
        "places": [],
        "files": [str(tmp_path)],
        "gpu": 0,
        "bf16": False,
    }


def test_a_node_that_has_all_of_it_is_fit_and_keeps_nothing(asked: Asked, tmp_path: Path) -> None:
    assert examine(asked) is None
    assert [path.name for path in (tmp_path / "study").iterdir()] == [".nodes.tmp"]


@pytest.mark.parametrize("name", ["python", "pdsearch", "ray", "torch", "torchvision", "numpy"])
def test_another_version_is_named(asked: Asked, name: str) -> None:
    asked["versions"] = {**asked["versions"], name: "0.1"}
    wrong = some(examine(asked))
    assert wrong["kind"] == "node"
    assert f"{name} {versions_here()[name]}, not 0.1" in wrong["what"]


def test_an_extra_may_be_missing_but_is_of_no_other_version(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked["versions"] = {**asked["versions"], "timm": "0.1"}
    known = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.0" if name == "timm" else known(name))
    assert "timm 2.0, not 0.1" in some(examine(asked))["what"]

    def missing(name: str) -> str:
        if name == "timm":
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert examine(asked) is None


def test_the_same_release_with_other_code_is_another_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pdsearch").mkdir()
    (tmp_path / "pdsearch" / "__init__.py").write_text("")
    mine = module._code()
    found = SimpleNamespace(origin=str(tmp_path / "pdsearch" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: found)
    assert module._code() != mine
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert module._code() == "missing"


def test_a_storage_that_is_another_or_none_is_refused(asked: Asked, tmp_path: Path) -> None:
    for change, words in (
        ({"token": "other"}, "is not the driver's"),
        ({"marker": str(tmp_path / "study" / "gone")}, "is not the driver's"),
        ({"root": str(tmp_path / "gone"), "marker": str(tmp_path / "gone" / "x")}, "is not there"),
    ):
        wrong = some(examine(cast("Asked", {**asked, **change})))
        assert wrong["kind"] == "storage"
        assert words in wrong["what"]


def test_a_storage_that_cannot_be_written_is_refused(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    wrong = some(examine(asked))
    assert (wrong["kind"], "cannot be written" in wrong["what"]) == ("storage", True)


def test_folders_of_artifacts_that_are_closed_to_a_node_s_user_are_refused(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, may = tmp_path / "artifacts" / "student" / "3f", os.access
    closed.mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and may(path, mode))
    wrong = some(examine(asked))
    assert wrong["kind"] == "storage"
    assert "student/3f: this user" in wrong["what"]


def test_missing_data_and_code_are_named(asked: Asked, tmp_path: Path) -> None:
    wrong = some(examine({**asked, "files": [str(tmp_path / "images")]}))
    assert str(tmp_path / "images") in wrong["what"]
    wrong = some(examine({**asked, "code": {"nowhere.at_all:model": "0"}}))
    assert "nowhere.at_all:model cannot be imported" in wrong["what"]
    assert examine({**asked, "code": {CODE: source_hash(CODE)}}) is None
    wrong = some(examine({**asked, "code": {CODE: "0"}}))
    assert "is not the code the driver has" in wrong["what"]


def test_a_node_whose_gpu_torch_does_not_see_is_named(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert examine({**asked, "gpu": 0.5}) is None
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert examine(asked) is None
    wrong = some(examine({**asked, "gpu": 0.5}))
    assert (wrong["kind"], "torch sees none" in wrong["what"]) == ("node", True)
    assert "--num-gpus=0" in wrong["hint"]


def test_a_node_says_whether_its_device_computes_in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdsearch.training.device.computes_bf16", lambda device: device == "cuda")
    monkeypatch.chdir("/")  # It goes there, and this process goes back.
    assert [trial_computes_bf16(gpu) for gpu in (0, 0.25, 1)] == [False, True, True]


@pytest.fixture
def in_a_bucket(asked: Asked, s3: S3Server, bucket: str) -> Asked:
    """What a node is asked where the study lies on S3."""
    root = s3.url(f"{bucket}/runs")
    marker = place(root) / "study" / ".nodes.tmp"
    replace(marker, b"token")
    return {**asked, "root": root, "marker": str(marker)}


def test_a_node_that_sees_the_bucket_is_fit_and_keeps_nothing_there(in_a_bucket: Asked) -> None:
    assert examine(in_a_bucket) is None
    assert entry_names(place(in_a_bucket["root"]) / "study") == [".nodes.tmp"]


@pytest.mark.parametrize("folder", ["a file", "closed"])
def test_a_node_that_cannot_keep_copies_of_a_bucket_s_artifacts_is_refused(
    folder: str, in_a_bucket: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / folder))

    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    wrong = some(examine(in_a_bucket))
    assert wrong["kind"] == "node"
    assert "folder for copies of artifacts" in wrong["what"]


@pytest.mark.parametrize("mark", [b"other", None])
def test_a_bucket_that_is_not_the_driver_s_is_refused(in_a_bucket: Asked, mark: bytes | None) -> None:
    marker = place(str(in_a_bucket["marker"]))
    if mark is None:
        remove(marker)
    else:
        replace(marker, mark)
    wrong = some(examine(in_a_bucket))
    assert wrong["kind"] == "storage"
    assert "is not the driver's" in wrong["what"]
    assert "instance role" in wrong["hint"]


def test_a_node_without_the_bucket_says_so_at_once_and_shows_no_secret(
    in_a_bucket: Asked, bucket: str
) -> None:
    elsewhere = {
        name: text.replace(bucket, f"{bucket}-not")
        for name, text in in_a_bucket.items()
        if isinstance(text, str)
    }
    began = time.monotonic()
    wrong = examine(cast("Asked", {**in_a_bucket, **elsewhere}))
    assert time.monotonic() - began < 20
    assert wrong is not None
    assert (wrong["kind"], "is not the driver's" in wrong["what"]) == ("storage", True)
    assert SECRET not in str(wrong)


def test_a_node_whose_rights_do_not_reach_is_refused(
    in_a_bucket: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StorageDeniedError("no permission: PutObject", where="s3://x")

    monkeypatch.setattr("pdsearch.io.replace", refuse)
    wrong = some(examine(in_a_bucket))
    assert "no permission: PutObject" in wrong["what"]


def test_a_folder_that_was_removed_and_is_there_anew_is_gone_back_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sent"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PWD", str(folder))
    folder.rmdir()
    folder.mkdir()
    asked = Asked(
        versions={}, root="", marker=None, token="", code={}, places=[], files=[], gpu=0, bf16=False
    )
    examine(asked)
    assert Path.cwd() == folder


@pytest.mark.parametrize("has", [True, False])
def test_a_device_that_would_emulate_bf16_is_named_where_the_study_computes_in_it(
    asked: Asked, has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_has_bf16", lambda _gpu: has)
    assert examine(asked) is None
    wrong = examine({**asked, "bf16": True})
    assert (wrong is None) is has
    assert has or (wrong and "emulate bf16" in wrong["what"] and "resources.accelerator" in wrong["hint"])
