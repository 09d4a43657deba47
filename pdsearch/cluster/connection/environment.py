"""Environment variables that Ray and Tune read: set during a session and restored afterwards."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pdsearch.cluster.connection.choice import ADDRESS

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
"""No snapshots, log files per trial or progress output of Tune's: the study has it all. The searcher decides how many
trials wait for a worker and what happens to one that lost its worker: Tune retries none."""

_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Marks a node that belongs to no cluster, on Linux too: otherwise 127.0.0.1 is replaced by the host's address."""

_OF_A_JOB = (
    ADDRESS,
    "RAY_JOB_CONFIG_JSON_ENV_VAR",
    "RAY_OVERRIDE_JOB_RUNTIME_ENV",
    "RAY_RUNTIME_ENV_HOOK",
    "RAY_NAMESPACE",
)
"""Variables of a submitted job, unset for a local Ray, which would wait endlessly for the job's packages."""


def variables(address: str | None, verbose: bool) -> dict[str, str | None]:
    """Return the variables to set, or to unset (None), during a session.

    Args:
        address: Of the cluster that is joined; None for a local Ray.
        verbose: Let Ray's log lines through.
    """
    added: dict[str, str | None] = {**_QUIET, "TUNE_PRINT_ALL_TRIAL_ERRORS": str(int(verbose))}
    if address is not None:
        return {**added, ADDRESS: None}  # Otherwise Ray would resolve "auto" to it, whatever its kind.
    return {**added, **dict.fromkeys(_OF_A_JOB), **_LOOPBACK, **_token()}


def _token() -> dict[str, str]:
    """Return variables that make a local Ray require a token known only to this process and its children."""
    if "RAY_AUTH_MODE" in os.environ:
        return {}
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextmanager
def environment(wanted: Mapping[str, str | None]) -> Iterator[None]:
    """Set, or unset, environment variables while the block runs."""
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
