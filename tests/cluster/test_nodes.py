"""A search on several nodes survives losing them, uses nodes that join, and goes on after a lost driver.

One cluster of real raylets on this machine for everything: a node takes longer to start than a test to run.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.raylets import Raylets
from pdsearch.search.verify import check_invariants
from tests.end_to_end.program import ROOT, write
from tests.patient import PATIENCE_S, until

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(5400)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Raylets]:
    with Raylets() as found:
        yield found


def begin(cluster: Raylets, folder: Path, *words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "pdsearch", "run", "tiny.yaml", "--progress", "lines", *words]
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**cluster.environment, "PYTHONPATH": str(ROOT)},
            stdout=said,
            stderr=said,
        )


def test_nodes_come_and_go_the_driver_too_and_the_search_ends_whole(
    cluster: Raylets, tmp_path: Path, started: list["subprocess.Popen[bytes]"]
) -> None:
    changes = ("trials: 4", "trials: 3"), ("distill: {epochs: 2", "distill: {epochs: 400")
    off = ("{teachers: 1, seeds: 1}", "off")
    write(tmp_path, *changes, off, ("storage: runs", f"storage: {tmp_path / 'runs'}"))
    trials, said = tmp_path / "runs" / "tiny" / "trials", tmp_path / "said"
    words = ("--address", cluster.address)

    driver = begin(cluster, tmp_path, *words)
    started.append(driver)
    until(lambda: "waiting for one to join" in said.read_text(), driver=driver, said=said)
    first, second = cluster.add(count=2)
    until(
        lambda: [*trials.glob("search-*")] and first.workers() and second.workers(),
        pause=0.2,  # It looks at all processes of the machine.
        driver=driver,
        said=said,
    )

    finished = {path.name for path in trials.glob("*.finished.json")}
    first.kill()
    until(lambda: " lost its worker" in said.read_text(), driver=driver, said=said)
    lost = said.read_text().split(" lost its worker")[0].split()[-1]
    (third,) = cluster.add()
    until(lambda: (trials / f"{lost}.finished.json").exists() and third.workers(), driver=driver, said=said)

    driver.send_signal(signal.SIGKILL)
    driver.wait()
    kept = {path.name: path.read_bytes() for path in trials.glob("*.finished.json")}
    assert finished < kept.keys()
    driver = begin(cluster, tmp_path, *words)
    started.append(driver)
    assert driver.wait(PATIENCE_S) == 0, said.read_text()
    after = {path.name: path.read_bytes() for path in trials.glob("*.finished.json")}
    assert kept.items() < after.items()
    assert sum(name.startswith("search-") for name in after) == 3
    assert check_invariants(tmp_path / "runs" / "tiny") == []
    assert "Traceback" not in said.read_text()
    assert "state-dump" not in said.read_text()


def test_a_node_that_is_not_fit_is_named_before_anything_is_trained(cluster: Raylets, tmp_path: Path) -> None:
    if len(cluster.nodes) == 1:  # This test alone: no node is left by another.
        cluster.add()
    write(tmp_path, ("storage: runs", f"storage: {tmp_path / 'runs'}"))
    script = tmp_path / "elsewhere.py"
    script.write_text(
        "import sys\n"
        "from pdsearch.cluster import node_checks as probe\n"
        "from pdsearch.cli.main import main\n"
        "kept = probe.versions_here\n"
        "probe.versions_here = lambda: {**kept(), 'torch': '1.0'}\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = ("run", "tiny.yaml", "--progress", "lines", "--address", cluster.address)
    done = subprocess.run(
        [sys.executable, str(script), *words],
        cwd=tmp_path,
        env={**cluster.environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "node 127.0.0." in done.stderr
    assert "not 1.0" in done.stderr
    assert not [*(tmp_path / "runs" / "artifacts" / "teacher").rglob("manifest.json")]
