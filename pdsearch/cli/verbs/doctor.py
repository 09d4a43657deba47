"""`pdsearch doctor`: what this machine has, what of it would stop or slow a run, and what to mend."""

import dataclasses
import json
import os
import platform
import re
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Annotated, Literal

import typer

from pdsearch import __version__
from pdsearch.cli.console import print_lines, print_note, print_table, size
from pdsearch.errors import PdsearchError

PACKAGES = ("torch", "torchvision", "ray", "optuna", "numpy", "pyarrow", "typer")
"""Packages whose versions are shown; of all others only that one is missing."""
EXTRAS = {
    "timm": "networks timm/NAME",
    "onnxruntime": "export --onnx",
    "psycopg": "search.ledger: postgresql://",
}
SHM_BYTES = 1 * 10**9
DISK_BYTES = 5 * 10**9
FILES = 1024


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what it is, and what to do.

    Args:
        name: What was looked at.
        state: "ok", "note" (slower, or something is missing that may be) or "broken" (a run would fail).
        value: What it is.
        mend: What to do; empty where nothing is.
    """

    name: str
    state: Literal["ok", "note", "broken"]
    value: str
    mend: str = ""


def doctor(
    storage: Annotated[Path, typer.Option(help="Where studies will be stored.")] = Path("runs"),
    quick: Annotated[bool, typer.Option("--quick", help="Do not start Ray, which takes some 15 s.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say what this machine has and what to mend: exit code 1 where a run would fail, else 0. Changes nothing."""
    found = list(_findings(storage, quick=quick))
    if as_json:
        print(json.dumps([dataclasses.asdict(finding) for finding in found], indent=2))
    else:
        print_table(("looked at", "state", "found"), [(f.name, f.state, f.value) for f in found])
        print_lines(f"{f.name}: {f.mend}" for f in found if f.mend)
        broken = sum(f.state == "broken" for f in found)
        print_note(f"{broken} to mend before a run" if broken else "nothing stands in the way of a run")
    if any(f.state == "broken" for f in found):
        raise typer.Exit(1)


def _findings(storage: Path, *, quick: bool) -> Iterator[Finding]:
    for look in (_versions, _torch, _cores, _memory):
        yield from look()
    yield from _disk(storage)
    yield from _address()
    if not quick:
        yield from _ray()


def _versions() -> Iterator[Finding]:
    python = f"{platform.python_version()} ({sys.executable}), {platform.platform(terse=True)}"
    yield Finding("python", "ok", python)
    yield Finding("pdsearch", "ok", f"{__version__} ({Path(__file__).parents[3]})")
    for name in dict.fromkeys([*PACKAGES, *_required()]):
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Finding(name, "broken", "not installed", "pip install pdsearch again, and then pip check")
        else:
            if name in PACKAGES:
                yield Finding(name, "ok", found)
    for name, use in EXTRAS.items():
        try:
            yield Finding(name, "ok", f"{version(name)}, for {use}")
        except PackageNotFoundError:
            yield Finding(name, "note", f"not installed; only for {use}")


def _required() -> list[str]:
    """Return the packages that the installed pdsearch asks for, those of its extras left out."""
    with suppress(PackageNotFoundError):
        return [
            re.split(r"[^\w.-]", line)[0] for line in requires("pdsearch") or () if "extra ==" not in line
        ]
    return []


def _torch() -> Iterator[Finding]:
    try:
        import torch
        import torchvision  # noqa: F401 - a release that does not fit torch's fails here
    except Exception as error:  # Broken binaries raise anything.
        said = f"{type(error).__name__}: {error}"
        yield Finding("torch", "broken", said, "install torch and torchvision of one release")
        return
    from pdsearch.training.device import computes_bf16

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(count):
        about = torch.cuda.get_device_properties(index)
        bits = "bf16" if computes_bf16(f"cuda:{index}") else "fp16"
        what = f"{about.name}, {size(about.total_memory)}, precision auto is {bits}"
        yield Finding(f"GPU {index}", "ok", what)
    if not count and shutil.which("nvidia-smi"):
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        what = f"there is a driver, but torch sees no GPU; torch is built {built}"
        yield Finding("GPU", "broken", what, "install a torch for the driver")
    elif not count:
        yield Finding("GPU", "note", "none: resources.gpu must be 0")
    cpu = "bf16 where it pays" if computes_bf16("cpu") else "fp32: no instructions for bf16"
    yield Finding("precision on the CPU", "ok", cpu)


def _cores() -> Iterator[Finding]:
    from pdsearch.training.device import cores

    yield Finding("cores", "ok", f"{cores()} of {os.cpu_count()}: as many trials at once, a thread each")
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads not in (None, "1"):
        yield Finding("OMP_NUM_THREADS", "note", f"{threads}: trials set their own threads by resources.cpu")


def _noted(name: str, value: str, mend: str) -> Finding:
    return Finding(name, "note" if mend else "ok", value, mend)


def _memory() -> Iterator[Finding]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    small = "a trial takes about 1 GB and its images: use fewer --workers" if total < 4e9 else ""
    yield _noted("memory", size(total), small)
    shm = Path("/dev/shm")
    if shm.is_dir():
        free = shutil.disk_usage(shm).free
        mend = "Ray keeps its objects there: docker run --shm-size=2g; or use --serial"
        yield _noted("/dev/shm", f"{size(free)} free", mend if free < SHM_BYTES else "")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = "Ray opens many files: ulimit -n 65536" if soft < FILES else ""
    yield _noted("open files", f"{soft} (at most {hard})", few)


def _disk(storage: Path) -> Iterator[Finding]:
    from pdsearch.search.preflight.resources import LEAST_BYTES

    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pdsearch"
    folders = {"storage": storage, "temporary files": Path(tempfile.gettempdir()), "cache": caches}
    for name, folder in folders.items():
        there = next(path for path in [folder.absolute(), *folder.absolute().parents] if path.exists())
        free = shutil.disk_usage(there).free
        value = f"{size(free)} free in {folder}"
        if not os.access(there, os.W_OK):
            mend = f"grant write access to {there}, or name another"
            yield Finding(name, "broken", f"{folder} cannot be written", mend)
        elif free < LEAST_BYTES:
            yield Finding(name, "broken", value, "free some space: pdsearch cache gc")
        else:
            little = "teachers' outputs may take more: pdsearch plan SPACE says how much"
            yield _noted(name, value, little if free < DISK_BYTES else "")


def _address() -> Iterator[Finding]:
    from pdsearch.cluster.connection.choice import ADDRESS, ray_choice

    if not os.environ.get(ADDRESS):
        return
    try:
        yield Finding(
            ADDRESS, "ok", f"runs join {ray_choice(None).where}; --address local keeps to this machine"
        )
    except PdsearchError as error:
        yield Finding(ADDRESS, "broken", error.what, error.hint or "")


def _ray() -> Iterator[Finding]:
    from pdsearch.cluster.connection.session import session

    try:
        with session(cpu=1, gpu=0.0, workers=1, verbose=False, say=print_note) as started:
            yield Finding("Ray", "ok", f"starts on this machine, at {started.address or 'a port of its own'}")
    except PdsearchError as error:
        yield Finding("Ray", "broken", error.what, error.hint or "run with --serial, which needs no Ray")
