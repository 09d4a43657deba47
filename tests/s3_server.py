"""An S3 server on loopback, in a process of its own: started, stopped, and started again on the same port."""

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

KEY = "AKIANOTAREALKEY"
SECRET = "a-secret-that-nobody-may-see"
_UP_S = 60.0
_TRIES = 3


def environment(folder: str) -> dict[str, str]:
    """What a process is told to use the server and to leave nothing outside a folder."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
        "XDG_STATE_HOME": f"{folder}/state",
        "XDG_CACHE_HOME": f"{folder}/cache",
    }


class S3Server:
    """Moto's server. What it holds lies in its memory, and is gone when it stops for good; a pause keeps it."""

    def __init__(self) -> None:
        self.port, self.query = 0, ""

    def __enter__(self) -> "S3Server":
        # Another process, such as a Ray of other tests, may take the port before the server does.
        assert any(self._starts(_free_port()) for _ in range(_TRIES)), "the server did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def go_on(self) -> None:
        """End a pause."""
        self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Accept connections and answer nothing, as a server does whose machine is stuck."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.go_on()

    def url(self, path: str) -> str:
        """Return the URL of a bucket and what lies below it."""
        return f"s3://{path}?{self.query}"

    def make_bucket(self, name: str) -> None:
        """Create a bucket."""
        self._ask(urllib.request.Request(f"http://127.0.0.1:{self.port}/{name}", method="PUT"))

    def _starts(self, port: int) -> bool:
        self.port, self.query = port, f"endpoint_override=127.0.0.1:{port}&scheme=http"
        words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + _UP_S
        while not self._answers():
            if self._process.poll() is not None:
                return False
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.05)
        return True

    def _answers(self) -> bool:
        try:
            self._ask(urllib.request.Request(f"http://127.0.0.1:{self.port}/moto-api/data.json"))
        except OSError:
            return False
        return True

    def _ask(self, request: urllib.request.Request) -> None:
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
