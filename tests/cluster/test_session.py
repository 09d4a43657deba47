"""The Ray of a run: which one, how it is started, and what is left when it ends."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import psutil
import pytest

from pdsearch.cluster.connection import joining, local
from pdsearch.cluster.connection import session as session_module
from pdsearch.cluster.connection.choice import Choice, ray_choice
from pdsearch.cluster.connection.local import LocalRay, local_ray
from pdsearch.cluster.connection.session import Session, session
from pdsearch.cluster.connection.supervisor import BLOCKED
from pdsearch.errors import ClusterError, ConfigError
from tests.end_to_end.program import environment
from tests.patient import PATIENCE_S

JOIN = "import ray; ray.init(address={address!r}, log_to_driver=False); print(ray.cluster_resources())"


def wait(seconds: float, until: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


def listening() -> list[tuple[str, str]]:
    """Addresses on which the Ray processes of this test listen, with the process's name."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            for connection in process.net_connections(kind="inet"):
                if connection.status == psutil.CONN_LISTEN:
                    found.append((process.name(), connection.laddr.ip))
    return found


def test_it_listens_on_this_machine_alone(ray_session: Session) -> None:
    assert ray_session.slots.fit == 1
    sockets = listening()
    assert any(name == "gcs_server" for name, _ in sockets)
    assert any(name == "raylet" for name, _ in sockets)
    assert {ip for _, ip in sockets} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, sockets


@pytest.mark.parametrize("token", ["", "0" * 64], ids=["none", "wrong"])
def test_a_stranger_without_the_token_is_refused(ray_session: Session, token: str) -> None:
    import ray

    assert ray_session.folder is not None
    address = ray.get_runtime_context().gcs_address
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    asked = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {"RAY_AUTH_MODE": "disabled"}
    done = subprocess.run(
        [sys.executable, "-c", JOIN.format(address=address)],
        env={**own, **asked, "RAY_NUM_REDIS_GET_RETRIES": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode != 0
    assert "CPU" not in done.stdout
    assert "token" in done.stderr.lower() or "unauthenticated" in done.stderr.lower(), done.stderr[-2000:]


def members(session_id: int) -> list[psutil.Process]:
    """Living processes of a session."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == session_id and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def blocked(process: psutil.Process) -> set[int]:
    """Signals that a process does not hear."""
    lines = Path("/proc", str(process.pid), "status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigBlk"))
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


@pytest.mark.usefixtures("ray_session")
def test_its_processes_live_in_a_session_of_their_own_and_hear_no_signal_of_the_driver_s() -> None:
    children = {process.name(): process for process in psutil.Process().children(recursive=True)}
    found = os.getsid(children["raylet"].pid)
    assert found != os.getsid(0)
    assert {"raylet", "gcs_server"} <= {process.name() for process in members(found)}
    for process in members(found):
        assert os.getpgid(process.pid) != os.getpgid(0)
        assert blocked(process) >= set(BLOCKED)


DRIVER = """
import sys, time
from pdsearch.cluster.connection.session import session
with session(cpu=1, gpu=0, workers=1, verbose=False) as started:
    print(started.folder, flush=True)
    time.sleep(600)
"""


def test_it_ends_with_a_driver_that_was_killed_though_a_child_of_it_lives_on(tmp_path: Path) -> None:
    forked = DRIVER.replace("    time.sleep", "    import os\n    os.fork()\n    time.sleep")
    with subprocess.Popen(
        [sys.executable, "-c", forked], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment()
    ) as driver:
        assert driver.stdout is not None
        folder = Path(driver.stdout.readline().strip())
        assert folder.exists()
        children = psutil.Process(driver.pid).children()
        (owner,) = [child for child in children if "supervisor.py" in " ".join(child.cmdline())]
        others = [child for child in children if child.pid != owner.pid]
        assert len(members(owner.pid)) > 3
        driver.kill()
        try:
            wait(60, lambda: not members(owner.pid) and not folder.exists())
        finally:
            for child in others:
                child.kill()


def test_what_a_supervisor_that_was_killed_leaves_is_ended_by_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "head.py"
    script.write_text("import os, time\nos.write(1, b'here:1\\n')\ntime.sleep(600)\n")
    monkeypatch.setattr(local, "_HEAD", script)
    with local_ray(1, shows_lines=False) as ray:
        assert ray.address == "here:1"
        assert ray._process is not None
        session_id = ray._process.pid
        assert len(members(session_id)) == 2
        os.kill(session_id, signal.SIGKILL)
        wait(60, lambda: len(members(session_id)) == 1)
    assert members(session_id) == []
    assert not ray.folder.exists()


@pytest.mark.parametrize(("fails", "tries"), [(1, 2), (9, 3)])
def test_a_ray_that_does_not_come_up_is_tried_again_and_is_one_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails: int, tries: int
) -> None:
    script, tried = tmp_path / "head.py", tmp_path / "tried"
    script.write_text(
        "import os, pathlib, sys\n"
        f"tried = pathlib.Path({str(tried)!r})\n"
        "tried.open('a').write('x')\n"
        f"if len(tried.read_text()) <= {fails}:\n"
        "    sys.exit('Traceback\\nException: The current node timed out during startup.\\n')\n"
        "os.write(1, b'here:1\\n')\n"
    )
    monkeypatch.setattr(local, "_HEAD", script)
    if fails < tries:
        with local_ray(1, shows_lines=False) as ray:
            assert ray.address == "here:1"
    else:
        with (
            pytest.raises(ClusterError, match="Ray did not start: Exception: The current node timed out"),
            local_ray(1, shows_lines=False),
        ):
            pass
    assert len(tried.read_text()) == tries


@pytest.fixture
def unstarted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither start a Ray nor connect to one."""
    monkeypatch.setattr(session_module, "local_ray", lambda *_, **__: nullcontext(LocalRay(tmp_path)))
    monkeypatch.setattr(session_module, "joined", lambda *_: nullcontext("here:1"))


@pytest.mark.parametrize("gpu", [1, 0.5])
@pytest.mark.usefixtures("unstarted")
def test_gpus_that_this_machine_has_not_are_not_waited_for(
    gpu: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources = {"CPU": 2.0}
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": resources}])
    monkeypatch.setattr("ray.cluster_resources", lambda: resources)
    with (
        pytest.raises(ConfigError, match=f"asks for {gpu:g} GPU, and Ray sees 0 on this") as caught,
        session(cpu=1, gpu=gpu, workers=3, verbose=False),
    ):
        pass
    assert caught.value.where == "resources.gpu"


@pytest.mark.usefixtures("unstarted")
def test_a_ray_of_one_s_own_knows_nothing_of_the_job_that_it_is_started_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {"RAY_ADDRESS": "10.0.0.1:6379", "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with session(cpu=1, gpu=0, workers=1, verbose=False):
        assert not told.keys() & os.environ.keys()
    assert told.items() <= os.environ.items()


def test_a_start_that_takes_long_says_once_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_SAY_AFTER_S", 0.01)
    said: list[str] = []
    with session_module._told_when_slow(said.append, None):
        wait(60, lambda: bool(said))
    with session_module._told_when_slow(said.append, "head:1"):
        wait(60, lambda: len(said) == 2)
    assert said == [
        "waiting for Ray to start on this machine",
        "waiting for the Ray cluster at head:1 to answer",
    ]


@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_an_address_at_which_no_ray_answers_is_refused(words: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_ANSWERS_WITHIN_S", 0.2)

    def answer() -> None:
        with server.accept()[0] as found:
            found.recv(1024)
            found.sendall(words)

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        answering = threading.Thread(target=answer)
        answering.start()
        with pytest.raises(ConfigError, match="no head of a Ray cluster") as refused:
            joining.reach(address, Choice(address, "RAY_ADDRESS"))
        answering.join()
    assert f"http://{address}" in str(refused.value)
    with pytest.raises(ConfigError, match="nothing answers there") as refused:
        joining.reach(address, Choice(address, "RAY_ADDRESS"))
    assert refused.value.where == f"RAY_ADDRESS={address}"


def test_an_address_at_which_ray_answers_is_tried(ray_session: Session) -> None:
    joining.reach(ray_session.address, Choice(ray_session.address, "--address"))


def test_signals_are_heard_while_ray_connects_and_stay_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    ours = signal.getsignal(signal.SIGTERM)

    def init(**_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        wait(60, lambda: bool(heard))  # The main thread hears it, while this one hangs.
        raise ConnectionError("gone")

    monkeypatch.setattr("ray.init", init)
    # All tests share one connection, without which Ray starts a whole cluster by itself.
    monkeypatch.setattr("ray.shutdown", lambda: None)
    try:
        with (
            pytest.raises(ConfigError, match="cannot join the Ray cluster: gone"),
            joining.joined("head:1", 0, False, Choice("head:1", "--address")),
        ):
            pass
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("asked", "told", "address", "words"),
    [
        (None, "", None, "a Ray of its own on this machine"),
        (None, "local", None, "a Ray of its own on this machine (RAY_ADDRESS=local)"),
        ("local", "10.0.0.1:6379", None, "a Ray of its own on this machine (--address local)"),
        ("local", "http://gone:8265", None, "a Ray of its own on this machine (--address local)"),
        (None, "10.0.0.1:6379", "10.0.0.1:6379", "Ray cluster 10.0.0.1:6379 (from RAY_ADDRESS)"),
        (None, "[::1]:6379", "[::1]:6379", "Ray cluster [::1]:6379 (from RAY_ADDRESS)"),
        (None, "auto", "auto", "Ray cluster here:1 (RAY_ADDRESS=auto)"),
        ("head:6379", "10.0.0.1:6379", "head:6379", "Ray cluster head:6379 (from --address)"),
        ("auto", "", "auto", "Ray cluster here:1 (--address auto)"),
        ("auto", "http://head:8265", "auto", "Ray cluster here:1 (--address auto)"),
        ("auto", "10.0.0.1:6379", "10.0.0.1:6379", "Ray cluster 10.0.0.1:6379 (from RAY_ADDRESS)"),
    ],
)
def test_which_ray_is_used_and_why(asked: str | None, told: str, address: str | None, words: str) -> None:
    choice = ray_choice(asked, {"RAY_ADDRESS": told})
    assert choice.address == address
    assert choice.words("here:1" if address == "auto" else None) == words
    assert ray_choice(asked, {"RAY_ADDRESS": f" {told} "}) == choice
    assert told or ray_choice(asked, {}) == choice


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("http://head:8265", "ray job submit --address http://head:8265 -- pdsearch run SPACE"),
        ("https://head", "ray job submit --address https://head -- pdsearch run SPACE"),
        ("ray://head:10001", "ray job submit --address http://HEAD:8265 -- pdsearch run SPACE"),
        ("redis://head:6379", "host:port"),
        ("head", "host:port"),
        ("head:", "host:port"),
        ("head:0", "host:port"),
        ("head:65536", "host:port"),
        ("head:http", "host:port"),
    ],
)
@pytest.mark.parametrize("by_option", [True, False])
def test_what_cannot_be_joined_is_refused_with_the_right_form(
    address: str, hint: str, by_option: bool
) -> None:
    with pytest.raises(ConfigError) as refused:
        ray_choice(address if by_option else None, {"RAY_ADDRESS": "" if by_option else address})
    assert hint in str(refused.value)
    assert "--address local" in str(refused.value)
    assert refused.value.where == (f"--address {address}" if by_option else f"RAY_ADDRESS={address}")
