"""Choice of a run's Ray, a cluster or a local one, by `--address` and RAY_ADDRESS. Does not import Ray."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pdsearch.errors import ConfigError

ADDRESS = "RAY_ADDRESS"
"""Ray's own environment variable for a cluster's address; Ray sets it for a submitted job."""

_OPTION = "--address"
_HOST_AND_PORT = re.compile(r"(?:[^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")
_DASHBOARD = ("http://", "https://")


@dataclass(frozen=True)
class Choice:
    """The Ray to use, and the setting that chose it.

    Args:
        address: "auto" or host:port of a cluster; None for a local Ray.
        source: "--address" or "RAY_ADDRESS"; None where neither was given.
    """

    address: str | None = None
    source: str | None = None

    @property
    def where(self) -> str:
        """The setting and its value, for messages."""
        return _spelled(self.source or _OPTION, self.address or "local")

    def words(self, joined: str | None = None) -> str:
        """Return the line that says which Ray is used and why.

        Args:
            joined: host:port of the cluster that was joined, where the address is `auto`.
        """
        if self.address is None:
            return "a Ray of its own on this machine" + (f" ({self.where})" if self.source else "")
        if self.address == "auto":
            return f"Ray cluster {joined or self.address} ({self.where})"
        return f"Ray cluster {self.address} (from {self.source or _OPTION})"


def ray_choice(asked: str | None, environment: Mapping[str, str] = os.environ) -> Choice:
    """Return the Ray to use: that of `--address`, else that of RAY_ADDRESS, else a local one.

    Args:
        asked: `--address`, where it was given.
        environment: Where RAY_ADDRESS is looked up.

    Raises:
        ConfigError: The address is of a kind that cannot be joined, or not an address.
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
