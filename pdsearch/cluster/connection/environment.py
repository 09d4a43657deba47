"""What Ray and Tune read from the environment while there is a session: set for it, and put back afterwards."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pdsearch.cluster.connection.choice import ADDRESS

__all__ = ["environment", "variables"]

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "3600",
}
"""No snapshots, no log files per trial, no screen of Tune's own: the study holds it all. How many trials wait for a
worker, and what becomes of one that lost its own, is the searcher's to say: Tune tries none again."""

_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's word, on Linux too, for a node that is no cluster's: without it 127.0.0.1 is taken for the host's address."""

_OF_A_JOB = (
    ADDRESS,
    "RAY_JOB_CONFIG_JSON_ENV_VAR",
    "RAY_OVERRIDE_JOB_RUNTIME_ENV",
    "RAY_RUNTIME_ENV_HOOK",
    "RAY_NAMESPACE",
)
"""What Ray tells a submitted job. A Ray of one's own has none of it: it would wait for ever for the job's packages."""


def variables(address: str | None, verbose: bool) -> dict[str, str | None]:
    """Return what is set, or taken away (None), while there is a session.

    Args:
        address: Of a cluster that is joined; None stands for a Ray of this machine alone.
        verbose: Let Ray's log lines through.
    """
    added: dict[str, str | None] = {**_QUIET, "TUNE_PRINT_ALL_TRIAL_ERRORS": str(int(verbose))}
    if address is not None:
        return {
            **added,
            ADDRESS: None,
        }  # Else Ray would take it for what "auto" means, whatever kind it is of.
    return {**added, **dict.fromkeys(_OF_A_JOB), **_LOOPBACK, **_token()}


def _token() -> dict[str, str]:
    """Return what makes a local Ray ask for a token that only this process and its children know."""
    if "RAY_AUTH_MODE" in os.environ:
        return {}
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextmanager
def environment(wanted: Mapping[str, str | None]) -> Iterator[None]:
    """Have variables set, or taken away, while the block runs."""
    before = {name: os.environ.get(name) for name in wanted}
    _set(wanted)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
