"""A study on S3 behaves as one in a folder when its driver is killed and its machine is lost."""

import json
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest

from pdsearch.io import Remote, entry_names, objects, place, read, remove, remove_tree
from tests.end_to_end.program import call, run, stop_when, write
from tests.patient import until
from tests.s3_gate import Gate
from tests.s3_server import SECRET, S3Server

SERIAL = ("run", "tiny.yaml", "--serial", "--progress", "lines")


@pytest.fixture
def study(s3: S3Server, bucket: str, tmp_path: Path) -> Remote:
    """The place of a study that the folder's space file names."""
    write(tmp_path, ("storage: runs", f'storage: "{s3.url(f"{bucket}/some/runs")}"'))
    found = place(s3.url(f"{bucket}/some/runs/tiny"))
    assert isinstance(found, Remote)
    return found


def finished(study: Remote) -> dict[str, bytes]:
    """The finished records of a study, by name."""
    trials = study / "trials"
    found = [name for name in entry_names(trials) if name.endswith(".finished.json")]
    return {name: read(trials / name) or b"" for name in found}


@pytest.mark.slow
def test_a_driver_killed_with_its_machine_is_replaced_and_nothing_is_repeated(
    study: Remote, tmp_path: Path
) -> None:
    code, _ = stop_when(tmp_path, signal.SIGKILL, lambda: len(finished(study)) >= 2, *SERIAL)
    assert code == -signal.SIGKILL
    before = finished(study)
    shutil.rmtree(tmp_path / "state")  # The machine is gone, with the journal and all copies.
    shutil.rmtree(tmp_path / "cache")
    out, said = run(tmp_path, *SERIAL)
    after = finished(study)
    assert before.items() <= after.items()
    found = [json.loads(content) for content in after.values()]
    assert [record["state"] for record in found] == ["complete"] * len(found)
    searched = [record["key"] for record in found if record["kind"] == "search"]
    assert len(searched) == len(set(searched)) == 4
    assert "best configuration" in out
    url = str(study)
    assert "all is as it must be" in call(tmp_path, "verify", url, "--deep")[0]
    shutil.rmtree(tmp_path / "state")
    assert "all is as it must be" in call(tmp_path, "verify", url, "--deep")[0]
    assert "convnet_s" in call(tmp_path, "rank", url, "--format", "csv")[0]
    call(tmp_path, "export", url, "--out", "best")
    assert list((tmp_path / "best").glob("*/student.safetensors"))
    assert "0 broken" in call(tmp_path, "cache", "verify", str(study.parent))[0]
    assert SECRET not in out + said
    assert not any(SECRET.encode() in content for content in after.values())
    assert entry_names(study.parent / "progress") == []
    assert "nothing was trained" in call(tmp_path, *SERIAL)[0]
    assert not (tmp_path / "runs").exists()
    assert not [name for name in os.listdir(tmp_path) if name.startswith("s3")]


def test_a_storage_that_is_gone_ends_the_run_and_the_same_command_goes_on_when_it_is_back(
    s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PATIENCE_S", 4.0)
    with Gate(s3.port) as gate:
        url = f"s3://{bucket}/runs?endpoint_override=127.0.0.1:{gate.port}&scheme=http"
        write(tmp_path, ("storage: runs", f'storage: "{url}"'))
        directly = place(s3.url(f"{bucket}/runs/tiny"))
        assert isinstance(directly, Remote)

        def shut() -> None:
            until(lambda: finished(directly))
            gate.shut()

        watching = threading.Thread(target=shut)
        watching.start()
        _, said = call(tmp_path, *SERIAL, code=74)
        watching.join()
        assert said.count("waiting for the storage") == 1
        assert "then run the same command again" in said
        assert SECRET not in said
        before = finished(directly)
        assert before
        gate.open()
        # Nobody could give the leases back, and their owner, this process, lives on.
        remove(directly / "driver.lease")
        remove_tree(directly.parent / "artifacts" / ".leases")
        call(tmp_path, *SERIAL)
        after = finished(directly)
        assert before.items() < after.items()
        searched = [json.loads(c)["key"] for name, c in after.items() if name.startswith("search-")]
        assert len(searched) == len(set(searched)) == 4
        call(tmp_path, "verify", url.replace("/runs?", "/runs/tiny?"), "--deep")
