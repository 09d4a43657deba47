"""Which Ray a run uses: the cluster it is told to join, or one of its own on this machine. Loads no Ray."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pdsearch.errors import ConfigError

__all__ = ["ADDRESS", "Choice", "choose"]

ADDRESS = "RAY_ADDRESS"
"""The variable of Ray's own that names a cluster; Ray sets it for a submitted job."""

_OPTION = "--address"
_HOST_AND_PORT = re.compile(r"(?:[^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")
_DASHBOARD = ("http://", "https://")


@dataclass(frozen=True)
class Choice:
    """Which Ray, and who said so.

    Args:
        address: "auto" or host:port of a cluster; None stands for one of the run's own.
        source: "--address" or "RAY_ADDRESS", where one of them said so.
    """

    address: str | None = None
    source: str | None = None

    @property
    def where(self) -> str:
        """What a message names."""
        return _spelled(self.source or _OPTION, self.address or "local")

    def words(self, joined: str | None = None) -> str:
        """Return the line that says which Ray is used and why.

        Args:
            joined: host:port of the cluster that was joined, for which `auto` may have stood.
        """
        if self.address is None:
            return "a Ray of its own on this machine" + (f" ({self.where})" if self.source else "")
        if self.address == "auto":
            return f"Ray cluster {joined or self.address} ({self.where})"
        return f"Ray cluster {self.address} (from {self.source or _OPTION})"


def choose(asked: str | None, environment: Mapping[str, str] = os.environ) -> Choice:
    """Return which Ray is meant: what `--address` says, else what RAY_ADDRESS says, else one of the run's own.

    Args:
        asked: `--address`, where it was given.
        environment: Where RAY_ADDRESS is looked up.

    Raises:
        ConfigError: The address is of a kind that cannot be joined, or no address at all.
    """
    told = environment.get(ADDRESS, "").strip()
    if not asked:
        return _checked(told, ADDRESS) if told else Choice()
    chosen = _checked(asked.strip(), _OPTION)
    if chosen.address == "auto" and _HOST_AND_PORT.fullmatch(told):  # As Ray itself understands it.
        return _checked(told, ADDRESS)
    return chosen


def _spelled(source: str, address: str) -> str:
    return f"{source} {address}" if source == _OPTION else f"{source}={address}"


def _checked(address: str, source: str) -> Choice:
    if address in ("local", "auto"):
        return Choice(None if address == "local" else address, source)
    where = _spelled(source, address)
    own = f"; for a Ray of this machine alone, pdsearch run SPACE {_OPTION} local"
    if address.startswith(_DASHBOARD):
        raise ConfigError(
            "this is the address of a cluster's dashboard, which takes jobs and cannot be joined",
            where=where,
            hint=f"submit the run there: ray job submit {_OPTION} {address} -- pdsearch run SPACE{own}",
        )
    if address.startswith("ray://"):
        raise ConfigError(
            "the driver belongs on the cluster: a lost client connection would take the search with it",
            where=where,
            hint=f"submit it there: ray job submit {_OPTION} http://HEAD:8265 -- pdsearch run SPACE{own}",
        )
    found = _HOST_AND_PORT.fullmatch(address)
    if found is None or not 0 < int(found[1]) < 65536:
        raise ConfigError(
            "not an address of a Ray cluster",
            where=where,
            hint=f"give auto, local, or host:port of the cluster's head, e.g. 10.0.0.1:6379{own}",
        )
    return Choice(address, source)
