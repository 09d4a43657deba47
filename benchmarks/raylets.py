"""A Ray cluster of several nodes on this machine, each one a `ray start` of its own that may be killed."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from pdsearch.cluster.slots import accelerator_resource

_LISTS = (
    *("cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands", "setup_commands"),
    *("head_setup_commands", "worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands"),
)
"""What the autoscaler wants to find in a cluster's file, though these nodes have no use for it."""

_PATIENCE_S = 200
"""For a node to start; at a load of 19 on two cores it takes 15 to 35 s."""

_TRIES = 3


class Node:
    """One node: the process of `ray start --block`, and what it started."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process, self._log = process, log

    def wait(self) -> None:
        """Wait until the node is up."""
        until = time.monotonic() + _PATIENCE_S
        while "Ray runtime started" not in self._log.read_text():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"no node: {self._log.read_text()}")
            time.sleep(0.1)

    def raylet(self) -> psutil.Process | None:
        """Return the node's raylet, or None where there is none (any more)."""
        return next(iter(self._named("raylet")), None)

    def workers(self) -> list[int]:
        """Return the processes that run trials on this node."""
        found = self.processes()
        return [process.pid for process in found if "Trainable" in _command(process)]

    def kill(self, name: str = "raylet") -> None:
        """Kill the node's raylet (or its gcs_server) as the loss of a machine would; Ray ends what hung on it."""
        for process in self._named(name):
            process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End the node, and whatever of it is left after a while."""
        left = self.processes()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with suppress(OSError):  # psutil's word for a process that ends while it begins to wait for it.
            psutil.wait_procs(left, timeout=10)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def processes(self) -> list[psutil.Process]:
        """Return everything that the node started."""
        try:
            return list(psutil.Process(self._process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def _named(self, name: str) -> list[psutil.Process]:
        return [process for process in self.processes() if Path(_command(process).split(" ")[0]).name == name]


class Raylets:
    """A cluster whose head has no CPU for trials, like that of cluster.yaml, and whose nodes come and go.

    Args:
        dashboard: Start one; jobs are submitted to it.
        scaled: What Ray's own autoscaler may do, in cluster.yaml's words; the nodes it starts are processes here.

    Attributes:
        address: What `--address` takes.
        jobs: What `ray job submit --address` takes, with a dashboard.
        environment: What its processes, and whoever joins, must have set: the token.
    """

    def __init__(self, *, dashboard: bool = False, scaled: Mapping[str, Any] | None = None) -> None:
        self.jobs = f"http://127.0.0.1:{_free_port()}"
        self.folder = Path(tempfile.mkdtemp(prefix="rn-", dir="/tmp"))  # Short: Ray's sockets lie in it.
        self.port = _free_port()
        self.address = f"127.0.0.2:{self.port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
        self.environment = {
            **kept,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_JOB_STOP_WAIT_TIME_S": "60",
            "RAY_raylet_start_wait_time_s": str(_PATIENCE_S),
        }
        self.nodes: list[Node] = []
        scaling = [] if scaled is None else [self._scaled(scaled)]
        port = self.jobs.rpartition(":")[2]
        shown = ["--dashboard-host=127.0.0.1", f"--dashboard-port={port}"] if dashboard else []
        self.head = self._start(
            "--head",
            f"--port={self.port}",
            *(shown or ["--include-dashboard=false"]),
            "--num-cpus=0",
            "--num-gpus=0",
            *scaling,
        )
        self.head.wait()

    def add(
        self, cpus: int = 1, *, gpus: int = 0, accelerator: str | None = None, count: int = 1
    ) -> list[Node]:
        """Start nodes for so many trials of one CPU each, and return them when they have joined.

        Args:
            cpus: CPUs that Ray is told of, of each node.
            gpus: GPUs that Ray is told of; there need not be any.
            accelerator: Their kind, as Ray names it.
            count: How many such nodes.
        """
        words = [f"--address={self.address}", f"--num-cpus={cpus}", f"--num-gpus={gpus}"]
        if accelerator:
            words.append("--resources=" + json.dumps({accelerator_resource(accelerator): 1}))
        # One after another: two that start at once may choose the same sockets.
        return [self._joined(words) for _ in range(count)]

    def _joined(self, words: list[str]) -> Node:
        """Start a node until one is up: another process may take the port chosen for it, and then Ray waits in vain."""
        for left in reversed(range(_TRIES)):
            node = self._start(*words)
            try:
                node.wait()
                return node
            except RuntimeError:
                node.close()
                if not left:
                    raise
        raise AssertionError("unreachable")

    def _scaled(self, scaled: Mapping[str, Any]) -> str:
        """Return the option that starts an autoscaler whose nodes are fake: raylets beside the head."""
        head = {"ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}}
        provider = {
            "type": "fake_multinode",
            "gcs_address": self.address,
            "disable_node_updaters": True,
            "use_node_id_as_ip": True,  # All of them have this machine's address.
        }
        content = {
            "cluster_name": "fake",
            "upscaling_speed": 1.0,
            "auth": {},
            "docker": {},
            "file_mounts": {},
            "file_mounts_sync_continuously": False,
            **dict.fromkeys(_LISTS, ()),
            **scaled,
            "provider": provider,
            "available_node_types": {**scaled["available_node_types"], **head},
            "head_node_type": "ray.head.default",
        }
        file = self.folder / "autoscaler.json"
        file.write_text(json.dumps(content))
        self.environment |= {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
        return f"--autoscaling-config={file}"

    def __enter__(self) -> "Raylets":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all nodes, the head last."""
        for node in reversed(self.nodes):
            node.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, *words: str) -> Node:
        log = self.folder / f"node-{len(self.nodes)}.log"
        # Addresses of this machine alone, and not the one that Ray replaces by that of the network.
        common = (
            f"--node-ip-address=127.0.0.{len(self.nodes) + 2}",
            f"--dashboard-agent-listen-port={_free_port()}",  # Another cluster here may have the usual one.
            "--object-store-memory=80000000",
            "--block",
        )
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", *words, *common]
                + (["--temp-dir", str(self.folder / "ray")] if "--head" in words else []),
                env=self.environment,
                stdout=stream,
                stderr=stream,
            )
        self.nodes.append(Node(process, log))
        return self.nodes[-1]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
