"""Owners of leases and of half-written files, and whether they are gone."""

import hashlib
import os
import re
import socket
import sys
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "Owner",
    "draft_name",
    "is_dead",
    "is_orphan",
    "this_owner",
]


@dataclass(frozen=True)
class Owner:
    """A process that holds a lease.

    Args:
        host: Its host's name.
        machine: Boot and process namespace; equal only where process numbers mean the same processes.
        pid: Its process number.
        born: When the process started, in clock ticks since boot; "" where the system does not tell.
        uuid: Different for every holding.
    """

    host: str
    machine: str
    pid: int
    born: str
    uuid: str = field(default_factory=lambda: uuid.uuid4().hex)

    def to_json(self) -> dict[str, Any]:
        """Return the owner as plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_owner() -> Owner:
    """Describe the process that asks, as a new owner."""
    _, born = _process(os.getpid())
    return Owner(socket.gethostname(), _machine(), os.getpid(), born)


def is_dead(owner: Owner) -> bool:
    """Return True when the owner ran here and its process has ended; False where we cannot know."""
    if not owner.machine or (owner.host, owner.machine) != (socket.gethostname(), _machine()):
        return False
    state, born = _process(owner.pid)
    if not state:
        return not _answers(owner.pid)
    # A killed process stays as a zombie until its parent asks for it, and numbers are used again.
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
    # The command's name stands in parentheses and may hold anything; fields are counted after it.
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], fields[19]


def _answers(pid: int) -> bool:
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


_NAME = re.compile(r"\.?([0-9a-f]{12})-(\d+)-(\d*)-[0-9a-f]{32}")


def draft_name() -> str:
    """Return a name nobody else uses, with this process in it."""
    owner = this_owner()
    return f"{_place(owner)}-{owner.pid}-{owner.born}-{owner.uuid}"


def is_orphan(name: str) -> bool:
    """Return True when a draft's writer ran on this machine and has ended; False where we cannot know."""
    match = _NAME.fullmatch(name)
    here = this_owner()
    if match is None or match[1] != _place(here):
        return False
    return is_dead(Owner(here.host, here.machine, int(match[2]), match[3], uuid.uuid4().hex))


def _place(owner: Owner) -> str:
    return hashlib.sha256(f"{owner.host} {owner.machine}".encode()).hexdigest()[:12]
