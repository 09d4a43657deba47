"""What a cluster gives to a client on its network without a token: every door is tried, nothing broken open."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from benchmarks.raylets import Raylets

DRIVER = (
    "import ray; ray.init({address!r}, log_to_driver=False); print(ray.get(ray.remote(lambda: 1).remote()))"
)
JOB = b'{"entrypoint": "true"}'


def without_a_token(cluster: Raylets) -> dict[str, str]:
    """Try to list and submit jobs, to join as a driver, and to read from every port that listens; say how it went."""
    return {
        "list jobs": _http(f"{cluster.jobs}/api/jobs/"),
        "submit a job": _http(f"{cluster.jobs}/api/jobs/", JOB),
        "run a task": _driver(cluster),
        "ports that answer a plain GET": ", ".join(_answering(cluster)) or "none",
    }


def _http(url: str, content: bytes | None = None, seconds: float = 30) -> str:
    asked = urllib.request.Request(url, content, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=seconds) as answer:
            return f"allowed, {answer.status}"
    except urllib.error.HTTPError as error:
        with error:
            return f"refused, {error.code}"
    except OSError as error:
        return f"no answer, {type(error).__name__}"
    except Exception as error:  # What speaks another protocol may answer anything.
        return f"no HTTP, {type(error).__name__}"


def _driver(cluster: Raylets) -> str:
    kept = {name: value for name, value in cluster.environment.items() if not name.startswith("RAY_AUTH")}
    # Elsewhere than at home, where a token may lie.
    environment = {**kept, "RAY_AUTH_MODE": "disabled", "HOME": str(cluster.folder)}
    try:
        done = subprocess.run(
            [sys.executable, "-c", DRIVER.format(address=cluster.address)],
            env=environment,
            capture_output=True,
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "no answer"
    return "allowed" if done.returncode == 0 else "refused"


def _answering(cluster: Raylets) -> list[str]:
    """Return what answers 200 to a GET of / or /metrics, by the name of its process."""
    found = set()
    for node in cluster.nodes:
        for process in node.processes():
            for host, port in _listening(process):
                for path in ("/", "/metrics"):
                    if _http(f"http://{host}:{port}{path}", seconds=5) == "allowed, 200":
                        found.add(f"{_name(process)} {path}")
    return sorted(found)


def _listening(process: psutil.Process) -> set[tuple[str, int]]:
    try:
        connections = process.net_connections("tcp4")
    except psutil.Error:
        return set()
    ours = {c.laddr for c in connections if c.status == psutil.CONN_LISTEN}
    return {("127.0.0.1" if address.ip == "0.0.0.0" else address.ip, address.port) for address in ours}


def _name(process: psutil.Process) -> str:
    try:
        first, *rest = process.cmdline()
    except (psutil.Error, ValueError):
        return "gone"
    script = next((word for word in rest if word.endswith(".py")), first)
    return Path(script.split(" ")[0]).name if os.sep in script else script.split(" ")[0]
