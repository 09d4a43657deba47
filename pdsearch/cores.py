"""The number of CPU cores this process may use."""

import os
from collections.abc import Mapping

_OF_A_JOB = "SLURM_CPUS_ON_NODE"
"""Slurm's variable with the cores that a job has on this node; not every site keeps its processes to them."""


def cores(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of cores of this machine that the process may run on.

    Args:
        environment: Where a job's share of the machine is looked up.
    """
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = environment.get(_OF_A_JOB, "")
    return min(here, int(share)) if share.isdigit() and int(share) else here
