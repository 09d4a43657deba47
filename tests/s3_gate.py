"""A way to a server on loopback that can be shut: then connections break and new ones are refused, as of one gone."""

import socket
import threading
from contextlib import suppress
from types import TracebackType

_CHUNK = 2**16


class Gate:
    """Passes bytes on to a port while it is open. What the server holds outlives a closed gate.

    Args:
        target: The server's port on loopback.
    """

    def __init__(self, target: int) -> None:
        self._target, self.port = target, 0
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()

    def __enter__(self) -> "Gate":
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shut()

    def open(self) -> None:
        """Let connections through, on the same port each time."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port, self._listener = listener.getsockname()[1], listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        """Break all connections and refuse new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
            ended, self._open = [*self._open, *([listener] if listener else [])], set()
        for each in ended:
            _end(each)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                shut = self._listener is not listener
                self._open |= set() if shut else {near, far}
            if shut:
                _end(near)
                _end(far)
                return
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while content := one.recv(_CHUNK):
                other.sendall(content)
        with self._lock:
            self._open -= {one, other}
        for each in (one, other):
            _end(each)


def _end(ended: socket.socket) -> None:
    with suppress(OSError):
        ended.shutdown(socket.SHUT_RDWR)
    ended.close()
