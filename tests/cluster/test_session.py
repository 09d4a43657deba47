"""Is the Ray of a run this machine's alone, closed to strangers, and gone afterwards?"""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pdsearch.cluster import session as session_module
from pdsearch.cluster.session import Session, session
from pdsearch.errors import ConfigError, PdsearchError, Terminated

JOIN = "import ray; ray.init(address={address!r}, log_to_driver=False); print(ray.cluster_resources())"


def listening() -> list[tuple[str, str]]:
    """Addresses on which the Ray processes of this test listen, with the process's name."""
    found = []
    for process in psutil.Process().children(recursive=True):
        for socket in process.net_connections(kind="inet"):
            if socket.status == psutil.CONN_LISTEN:
                found.append((process.name(), socket.laddr.ip))
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
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "CPU" not in done.stdout
    assert "token" in done.stderr.lower() or "unauthenticated" in done.stderr.lower(), done.stderr[-2000:]


def test_a_client_s_address_is_refused_with_a_way_out() -> None:
    with (
        pytest.raises(ConfigError, match="ray job submit"),
        session(address="ray://head:10001", cpu=1, gpu=0, workers=None, verbose=False),
    ):
        pass


@pytest.mark.parametrize(("fails", "tries"), [(1, 2), (9, 3)])
def test_a_ray_that_does_not_come_up_is_tried_again_and_is_one_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails: int, tries: int
) -> None:
    tried: list[object] = []

    def init(**_: object) -> None:
        tried.append(None)
        if len(tried) <= fails:
            raise Exception("The current node timed out during startup.")  # Ray raises no other kind.

    monkeypatch.setattr("ray.init", init)
    monkeypatch.setattr(session_module, "make_folder", lambda: tmp_path / "pds-x")
    if fails < tries:
        with session(address=None, cpu=1, gpu=0, workers=1, verbose=False):
            pass
    else:
        with (
            pytest.raises(PdsearchError, match="Ray did not start: The current node timed out"),
            session(address=None, cpu=1, gpu=0, workers=1, verbose=False),
        ):
            pass
    assert len(tried) == tries


@pytest.mark.parametrize(("gpu", "there"), [(1, 0), (0.5, 0)])
def test_gpus_that_this_machine_has_not_are_not_waited_for(
    gpu: float, there: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    resources = {"CPU": 2.0, **({"GPU": float(there)} if there else {})}
    monkeypatch.setattr("ray.init", lambda **_: None)
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": resources}])
    monkeypatch.setattr("ray.cluster_resources", lambda: resources)
    monkeypatch.setattr(session_module, "make_folder", lambda: tmp_path / "pds-x")
    with (
        pytest.raises(ConfigError, match=f"asks for {gpu:g} GPU, and Ray sees {there} on this") as caught,
        session(address=None, cpu=1, gpu=gpu, workers=3, verbose=False),
    ):
        pass
    assert caught.value.where == "resources.gpu"


def test_a_sigterm_while_ray_starts_has_the_code_of_any_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def init(**_: object) -> None:
        raise SystemExit(15)  # As Ray's own handler does.

    monkeypatch.setattr("ray.init", init)
    monkeypatch.setattr(session_module, "make_folder", lambda: tmp_path / "pds-x")
    with (
        pytest.raises(Terminated, match="while Ray started") as caught,
        session(address=None, cpu=1, gpu=0, workers=1, verbose=False),
    ):
        pass
    assert caught.value.exit_code == 143
