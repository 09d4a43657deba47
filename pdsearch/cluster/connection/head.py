"""Start Ray's processes on this machine, tell their address on stdout, and leave them: what the supervisor runs.

The same processes as those of `ray.init(address="local")`, but for two that nobody needs here: the autoscaler's
monitor, and the one that brings workers' lines to a driver that does not show them. `ray start` would listen for Ray's
clients as well.
"""

import os
import sys

from ray._private.node import Node
from ray._private.parameter import RayParams

__all__: list[str] = []


def main(folder: str, cpus: str, shows_lines: str) -> None:
    """Start a head node.

    Args:
        folder: For its files and sockets.
        cpus: CPUs that it has for trials.
        shows_lines: "1" where the driver shows what workers say.
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
    os._exit(0)  # At its ordinary end Ray would end what it has started.


if __name__ == "__main__":
    main(*sys.argv[1:])
