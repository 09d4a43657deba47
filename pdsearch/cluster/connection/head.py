"""Script that the supervisor runs: start Ray's processes on this machine, print their address and exit.

They are those of `ray.init(address="local")` without two that are not needed here: the autoscaler's monitor, and,
where the driver does not show it, the one that forwards workers' output. `ray start` would listen for Ray's clients
as well.
"""

import os
import sys

from ray._private.node import Node
from ray._private.parameter import RayParams


def main(folder: str, cpus: str, shows_lines: str) -> None:
    """Start a head node.

    Args:
        folder: For its files and sockets.
        cpus: CPUs for trials.
        shows_lines: "1" where the driver shows the workers' output.
    """
    asked = RayParams(
        node_ip_address="127.0.0.1",
        num_cpus=int(cpus),
        include_dashboard=False,
        include_log_monitor=shows_lines == "1",  # type: ignore[arg-type]  # its type says str, its use is a bool
        no_monitor=True,
        temp_dir=folder,
    )
    node = Node(asked, head=True, shutdown_at_exit=False, spawn_reaper=False, ray_init_cluster=True)
    os.write(1, f"{node.address}\n".encode())
    os._exit(0)  # A normal exit would have Ray end the processes that it has started.


if __name__ == "__main__":
    main(*sys.argv[1:])
