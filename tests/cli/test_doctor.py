"""`pdsearch doctor` says what is there and what to mend, for people and for programs."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pdsearch.cli.main import main
from pdsearch.errors import ClusterError


def found(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    code = main(["doctor", "--json", *words])
    return code, {item["name"]: item for item in json.loads(capsys.readouterr().out)}


def test_a_machine_that_can_run_is_said_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["doctor", "--quick", "--storage", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "nothing stands in the way" in shown.err
    for name in ("python", "torch", "cores", "memory", "storage", "precision on the CPU"):
        assert name in shown.out


def test_what_would_fail_is_exit_code_1_with_what_to_mend(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://head:8265")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e6))
    code, items = found(capsys, "--quick")
    assert code == 1
    broken = {name for name, item in items.items() if item["state"] == "broken"}
    assert broken == {"RAY_ADDRESS", "storage", "temporary files", "cache"}
    assert all(items[name]["mend"] for name in broken)


def test_what_pdsearch_asks_for_is_missed_and_no_tool_of_its_developers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [*(requires("pdsearch") or ()), 'torch-pruning>=1.6; extra == "dev"']
    monkeypatch.setattr("pdsearch.cli.verbs.doctor.requires", lambda _: asked)

    def version(name: str) -> str:
        if name in ("rich", "torch-pruning", "pytest"):
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr("pdsearch.cli.verbs.doctor.version", version)
    code, items = found(capsys, "--quick")
    assert (code, {name for name, item in items.items() if item["state"] == "broken"}) == (1, {"rich"})


def test_ray_is_started_for_a_moment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    @contextmanager
    def ray(**_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(address="here:1")
        ended.append("here:1")

    def no_ray(**_: object) -> None:
        raise ClusterError("Ray did not start", hint="read the log")

    monkeypatch.setattr("pdsearch.cluster.connection.session.session", ray)
    item = found(capsys)[1]["Ray"]
    assert (item["state"], item["value"], ended) == ("ok", "starts on this machine, at here:1", ["here:1"])
    monkeypatch.setattr("pdsearch.cluster.connection.session.session", no_ray)
    code, items = found(capsys)
    assert (code, items["Ray"]["value"], items["Ray"]["mend"]) == (1, "Ray did not start", "read the log")
