"""Shares of GPUs on nodes of several kinds, real raylets that are told of GPUs which are not there."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.gpu_nodes import Case, on_nodes
from benchmarks.raylets import Raylets
from tests.end_to_end.program import ROOT, write
from tests.patient import PATIENCE_S, until

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(5400)]

FAKED = """
import sys
from pdsearch.cli.main import main
from pdsearch.cluster import examine, node_checks as probe
examine._gpu = lambda asked: None
probe.computes_bf16 = lambda gpu: gpu != 0.5
sys.exit(main(sys.argv[1:]))
"""
"""A driver whose question every device answers with no, as a GPU would that only emulates bf16."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Raylets]:
    """A node with an A100, one with a T4 and one with neither."""
    with Raylets() as found:
        found.add(3, gpus=1, accelerator="A100")
        found.add(3, gpus=1, accelerator="T4")
        found.add(2)
        yield found


def command(cluster: Raylets, folder: Path, script: Path | None, **resources: object) -> list[str]:
    write(folder, ("storage: runs", f"storage: {folder / 'runs'}"))
    program = ["-m", "pdsearch"] if script is None else [str(script)]
    words = [f"--set=resources.{name}={value}" for name, value in resources.items()]
    asked = ["run", "tiny.yaml", "--progress", "lines", "--address", cluster.address, *words]
    return [sys.executable, *program, *asked]


def test_as_many_trials_run_as_fit_on_the_cards_and_all_end(cluster: Raylets) -> None:
    """On those of any kind; a kind that is asked for is that of the next test."""
    case = Case(0.5, 4)
    seen = on_nodes(case, cluster, seconds=2, patience_s=PATIENCE_S)
    assert seen.ended == {"complete": case.trials}
    assert seen.by_card == {"127.0.0.3 card 0": 2, "127.0.0.4 card 0": 2}
    assert seen.at_once == case.fit


def test_the_first_node_to_come_settles_the_precision_and_one_without_a_gpu_gets_no_trial(
    cluster: Raylets, tmp_path: Path, started: list["subprocess.Popen[bytes]"]
) -> None:
    script, said, study = tmp_path / "faked.py", tmp_path / "said", tmp_path / "runs" / "tiny"
    script.write_text(FAKED)

    with said.open("wb") as stream:
        driver = subprocess.Popen(
            command(cluster, tmp_path, script, gpu=0.5, accelerator="H100"),
            cwd=tmp_path,
            env={**cluster.environment, "PYTHONPATH": str(ROOT)},
            stdout=stream,
            stderr=stream,
        )
    started.append(driver)
    waiting = "of the kind H100; the nodes have A100, T4); waiting for one to join"
    until(lambda: waiting in said.read_text(), driver=driver, said=said)
    assert "`precision: auto` is settled by a worker's device" in said.read_text()
    assert not (study / "study.json").exists()
    cluster.add(2, gpus=1, accelerator="H100")
    # The worker's own look is no fake: a node that came later and has no GPU gets no trial.
    refused = "gets no trial: Ray gives trials a GPU there, but torch sees none"
    until(lambda: refused in said.read_text(), driver=driver, said=said)
    assert json.loads((study / "study.json").read_text())["precision"] == "fp16"
    driver.terminate()
    assert driver.wait(PATIENCE_S) == 143, said.read_text()
    assert "stopped; nothing finished is lost" in said.read_text()
