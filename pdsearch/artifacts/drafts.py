"""What is a thing called while it is being written, and who will never finish it? Its name says who writes it."""

import hashlib
import re
import uuid

from pdsearch.artifacts.owner import Owner, is_dead, this_owner

__all__ = ["draft_name", "is_orphan"]

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
