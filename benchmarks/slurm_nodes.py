"""Slurm on this machine for as long as a block runs: a controller and several nodes, of this user alone."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

ROOT = Path(__file__).parents[1]
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "scontrol", "squeue")
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"))
_CPUS = 4
"""What each node says it has; the machine may have fewer, and trials share them."""

_CONF = """
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# A job that is queued again waits until credentials have expired: two minutes, if nothing is said.
AuthInfo=socket={folder}/munge.socket,cred_expire=15
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool.%n
SlurmdParameters=config_overrides
# Signals reach every process that a step has started, as with control groups.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=2,batch_sched_delay=1
SlurmdTimeout=20
# A node that was lost and registers again is used again.
ReturnToService=1
MpiDefault=none
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=DEFAULT CPUs={cpus} CoresPerSocket={cpus} RealMemory={memory} Gres=gpu:2
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.[2-{last}] Port=[{ports}]
PartitionName=at_once Nodes=ALL Default=YES PriorityTier=1 GraceTime=0
PartitionName=graceful Nodes=ALL PriorityTier=1 GraceTime=60
PartitionName=first Nodes=ALL PriorityTier=10 PreemptMode=OFF
"""


def missing() -> list[str]:
    """Return the programs of Slurm that this machine lacks."""
    return [name for name in _PROGRAMS if shutil.which(name, path=_PLACES) is None]


class Job:
    """A job in the queue: clusters/slurm.sh with a search."""

    def __init__(self, slurm: "Slurm", number: str, nodes: int, folder: Path) -> None:
        self.slurm, self.number, self.nodes, self._folder = slurm, number, nodes, folder
        self.said = folder / f"slurm-{number}.out"

    def task(self, index: str) -> "Job":
        """Return one task of an array."""
        return Job(self.slurm, f"{self.number}_{index}", self.nodes, self._folder)

    @property
    def state(self) -> str:
        """Slurm's word for it: PENDING, RUNNING, COMPLETING, COMPLETED, CANCELLED, FAILED, TIMEOUT."""
        return self._shown("JobState")

    @property
    def restarts(self) -> int:
        """How often Slurm has started it again."""
        return int(self._shown("Restarts"))

    @property
    def lines(self) -> list[str]:
        """What it has said so far, in all its starts."""
        return self.said.read_text(errors="replace").splitlines() if self.said.exists() else []

    def until(self, seen: Callable[[], object], seconds: float, what: str) -> None:
        """Wait for something.

        Raises:
            SystemExit: It did not come.
        """
        end = time.monotonic() + seconds
        while not seen():
            if time.monotonic() > end:
                last = "\n".join(self.lines[-30:])
                raise SystemExit(f"job {self.number}, {self.state}: no {what} within {seconds:g} s\n{last}")
            time.sleep(0.2)

    def _shown(self, name: str) -> str:
        shown = self.slurm.call("scontrol", "show", "job", "--oneliner", self.number)
        found = re.search(rf"\b{name}=(\S+)", shown)
        return found[1] if found else ""


class Slurm:
    """A cluster of nodes that are processes of this machine.

    Args:
        nodes: How many.

    Attributes:
        folder: Of its files; removed with it.
        nodes: The process of each node's daemon, by name.
    """

    def __init__(self, nodes: int = 3) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sl-", dir="/tmp"))
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        self._there = _folders()
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.environment = {**os.environ, "PATH": _PLACES, "SLURM_CONF": str(self.folder / "slurm.conf")}
        self._write(nodes)
        self._munge()
        self._daemons.append(self._start("slurmctld", "-D", "-L", str(self.folder / "slurmctld.log")))
        for number in range(1, nodes + 1):
            self.start_node(f"n{number}")
        self._until_up(nodes)

    def _write(self, nodes: int) -> None:
        ports = [_free_port() for _ in range(nodes + 1)]
        (self.folder / "state").mkdir()
        content = _CONF.format(
            host=socket.gethostname(),
            user=psutil.Process().username(),
            folder=self.folder,
            port=ports[0],
            ports=",".join(str(port) for port in ports[1:]),
            nodes=nodes,
            last=nodes + 1,
            cpus=_CPUS,
            memory=psutil.virtual_memory().total // 2**20 // nodes,
        )
        (self.folder / "slurm.conf").write_text(content)
        for number in range(2):
            (self.folder / f"gpu{number}").touch()
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/gpu[0-1]\n")

    def _munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        files = {
            "key-file": "key",
            "socket": "socket",
            "pid-file": "pid",
            "log-file": "log",
            "seed-file": "seed",
        }
        words = [f"--{option}={self.folder}/munge.{suffix}" for option, suffix in files.items()]
        self._daemons.append(self._start("munged", "--foreground", "--force", *words))
        while not (self.folder / "munge.socket").exists():
            time.sleep(0.1)

    def start_node(self, name: str) -> None:
        """Start a node's daemon."""
        self.nodes[name] = self._start("slurmd", "-D", "-N", name, "-L", str(self.folder / f"{name}.log"))

    def lose_node(self, name: str) -> None:
        """Kill all that runs on a node, and its daemon, as the loss of a machine would."""
        self.nodes[name].kill()
        self.nodes[name].wait()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("SLURMD_NODENAME") == name and self._ours(process):
                    process.kill()

    def call(self, *words: str) -> str:
        """Run one of Slurm's commands; return what it printed."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.stderr}")
        return done.stdout

    def submit(self, nodes: int, options: Sequence[str], words: Sequence[str], folder: Path) -> Job:
        """Submit clusters/slurm.sh, as a person would in a folder; the words are those of `pdsearch run`."""
        environment = {
            **self.environment,
            "PDSEARCH_VENV": str(Path(sys.executable).parents[1]),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }
        whose = ["--account=none", "--gres=none", "--mem=2G", "--cpus-per-task=1", f"--nodes={nodes}"]
        command = ["sbatch", "--parsable", *whose, *options, str(ROOT / "clusters" / "slurm.sh"), *words]
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: {done.stderr}")
        return Job(self, done.stdout.strip(), nodes, folder)

    def tell(self, *words: str | Job) -> None:
        """Run one of Slurm's commands on a job."""
        self.call(*(word.number if isinstance(word, Job) else word for word in words))

    def nodes_of(self, job: Job) -> list[str]:
        """Return the names of a running job's nodes."""
        names = self.call("squeue", "--noheader", f"--jobs={job.number}", "--format=%N").strip()
        return self.call("scontrol", "show", "hostnames", names).split()

    def state_of(self, node: str) -> str:
        """Return Slurm's word for a node: IDLE, MIXED, DOWN+NOT_RESPONDING."""
        # `sinfo --format=%T` of Slurm 22.05 may go on calling a node mixed that is down.
        found = re.search(r"\bState=(\S+)", self.call("scontrol", "show", "node", "--oneliner", node))
        return found[1] if found else ""

    def left(self) -> list[str]:
        """Return what jobs that have ended left behind: processes and folders."""
        return sorted(_folders() - self._there) + [process.name() for process in self._of_jobs()]

    def __enter__(self) -> "Slurm":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all jobs, the nodes and the controller."""
        with suppress(SystemExit):
            self.call("scancel", "--user", psutil.Process().username())
            until = time.monotonic() + 60
            while self.call("squeue", "--noheader") and time.monotonic() < until:
                time.sleep(1)
        for process in self._of_jobs():
            with suppress(psutil.Error):
                process.kill()
        for daemon in (*self.nodes.values(), *reversed(self._daemons)):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _of_jobs(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if "SLURM_JOB_ID" in process.environ() and self._ours(process):
                    found.append(process)
        return found

    def _ours(self, process: psutil.Process) -> bool:
        return bool(process.environ().get("SLURM_CONF") == self.environment["SLURM_CONF"])

    def _until_up(self, nodes: int) -> None:
        until = time.monotonic() + 60
        while (
            len(self.call("sinfo", "--noheader", "--Node", "--partition=first", "--states=idle").split("\n"))
            <= nodes
        ):
            if time.monotonic() > until:
                raise SystemExit(f"Slurm did not start: {self.call('sinfo')}")
            time.sleep(0.5)

    def _start(self, program: str, *words: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{program}.said").open("ab") as stream:
            return subprocess.Popen(
                [shutil.which(program, path=_PLACES) or program, *words],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )


def _folders() -> set[str]:
    return {str(path) for path in Path("/tmp").glob("pd-*.[0-9]")}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
