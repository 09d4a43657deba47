"""The batch script of Slurm: what is queued again after which exit code, with stand-ins for Slurm's programs."""

import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from pdsearch.errors import ClusterError, StorageError, StorageFullError, StudyHeldError, Terminated, Warned
from tests.cluster.test_cluster_yaml import ROOT, marks

SCRIPT = "clusters/slurm.sh"
SRUN = """#!/bin/sh
echo "$@" >> srun.log
[ -z "$TELL" ] || kill -"$TELL" "$PPID"
exit "$CODE"
"""


def run(
    folder: Path, code: int, *words: str, tell: str = "", **more: str
) -> "subprocess.CompletedProcess[str]":
    """Run the script as a job on one node whose search ends with a code; a signal may reach the script first."""
    programs = folder / "programs"
    programs.mkdir()
    texts = {
        "srun": SRUN,
        "scontrol": '#!/bin/sh\necho "$@" >> scontrol.log\n',
        "sleep": "#!/bin/sh\n",
        "pdsearch": "",
    }
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(stat.S_IRWXU)
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "1", "SLURMD_NODENAME": "n1"}
    known = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder), "CODE": str(code)}
    return subprocess.run(
        ["bash", str(ROOT / SCRIPT), *words],
        cwd=folder,
        env={**job, **known, "TELL": tell, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def asked(folder: Path) -> str:
    """What was asked of Slurm's controller."""
    log = folder / "scontrol.log"
    return log.read_text() if log.exists() else ""


@pytest.mark.parametrize(
    ("code", "again"),
    [
        (0, False),
        (1, False),
        (2, False),
        (ClusterError.exit_code, False),  # Within ten minutes of its start.
        (StudyHeldError.exit_code, False),
        (StorageError.exit_code, False),
        (StorageFullError.exit_code, False),
        (130, False),
        (Warned.exit_code, True),
        (Terminated.exit_code, True),
    ],
)
def test_a_search_that_was_told_to_stop_is_queued_again(code: int, again: bool, tmp_path: Path) -> None:
    ended = run(tmp_path, code, "space.yaml")
    assert ended.returncode == code, ended.stderr
    assert asked(tmp_path) == ("requeue 7\n" if again else "")


def test_one_task_of_an_array_is_queued_again_alone(tmp_path: Path) -> None:
    task = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1"}
    run(tmp_path, Warned.exit_code, "space.yaml", **task)
    assert asked(tmp_path) == "requeue 7_1\n"


@pytest.mark.parametrize("code", [Terminated.exit_code, Warned.exit_code])
def test_what_slurm_ends_is_left_to_slurm(code: int, tmp_path: Path) -> None:
    ended = run(tmp_path, code, "space.yaml", tell=signal.SIGTERM.name.removeprefix("SIG"))
    assert ended.returncode == code, ended.stderr
    assert asked(tmp_path) == ""


def test_the_words_are_those_of_a_run_with_the_index_of_an_array(tmp_path: Path) -> None:
    run(tmp_path, 0, "space.yaml", "--set", "study=seed %a", SLURM_ARRAY_TASK_ID="4")
    assert (tmp_path / "srun.log").read_text().endswith("pdsearch run space.yaml --set study=seed 4\n")


def test_a_missing_installation_is_told_before_anything_is_started(tmp_path: Path) -> None:
    ended = run(tmp_path, 0, "space.yaml", PATH="/usr/bin:/bin")
    assert (ended.returncode, ended.stderr) == (
        2,
        f"no pdsearch in {tmp_path}/venv: install it as docs/cluster.md says, or set PDSEARCH_VENV\n",
    )


def test_what_a_person_fills_in_is_marked() -> None:
    assert marks(SCRIPT) == []
    told = [line for line in (ROOT / SCRIPT).read_text(encoding="utf-8").splitlines() if "=FILL_IN" in line]
    assert told == ["#SBATCH --account=FILL_IN_ACCOUNT", "#SBATCH --partition=FILL_IN_PARTITION"]
