"""The hardware and versions a figure was measured on: processor, memory, accelerator, load of the machine."""

import importlib.metadata
import os
import platform
from pathlib import Path

from pdsearch import __version__

_PACKAGES = ("torch", "ray", "optuna", "numpy")


def hardware() -> dict[str, str | int | float | None]:
    """Return what the figures depend on; the machine's name is no part of it."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(int((_field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 2**20, 1),
        "gpu": _gpu(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Return the versions of what is measured."""
    found = {"pdsearch": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def _field(path: str, name: str) -> str | None:
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, None)


def _gpu() -> str | None:
    import torch  # Only where a figure is printed.

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
