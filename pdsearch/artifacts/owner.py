"""Owners of leases and of temporary files, and whether they are dead."""

import hashlib
import os
import re
import socket
import uuid
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A process that holds a lease.

    Args:
        host: Its host's name.
        machine: Boot and process namespace; equal only where process numbers mean the same processes.
        pid: Its process number.
        born: Start time of the process, in clock ticks since boot; "" where the system does not provide it.
        uuid: New for every acquisition.
    """

    host: str
    machine: str
    pid: int
    born: str
    uuid: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_owner() -> Owner:
    """Return a new owner that describes the calling process."""
    _, born = _process(os.getpid())
    return Owner(socket.gethostname(), _machine(), os.getpid(), born)


def is_dead(owner: Owner) -> bool:
    """Return True if the owner ran on this machine and its process has ended; False where that cannot be known."""
    if not owner.machine or (owner.host, owner.machine) != (socket.gethostname(), _machine()):
        return False
    state, born = _process(owner.pid)
    if not state:
        return not _answers(owner.pid)
    # A killed process remains a zombie until its parent waits for it, and process numbers are reused.
    return state in "ZX" or born != owner.born


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _process(pid: int) -> tuple[str, str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    # The command's name is in parentheses and may contain anything, so fields are counted after it.
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], fields[19]


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # It is another user's.
    return True


_NAME = re.compile(r"\.?([0-9a-f]{12})-(\d+)-(\d*)-[0-9a-f]{32}")


def draft_name() -> str:
    """Return a unique temporary name that encodes this process, so that orphans are detectable."""
    owner = this_owner()
    return f"{_place(owner)}-{owner.pid}-{owner.born}-{owner.uuid}"


def is_orphan(name: str) -> bool:
    """Return True if a draft's writer ran on this machine and has ended; False where that cannot be known."""
    match = _NAME.fullmatch(name)
    here = this_owner()
    if match is None or match[1] != _place(here):
        return False
    return is_dead(Owner(here.host, here.machine, int(match[2]), match[3], uuid.uuid4().hex))


def _place(owner: Owner) -> str:
    return hashlib.sha256(f"{owner.host} {owner.machine}".encode()).hexdigest()[:12]
