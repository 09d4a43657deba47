"""Checks that a node runs on itself; on the standard library only.

This module is pickled by value, since a node that lacks pdsearch, or has another version, could not import it.
"""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import TypedDict

_SEEN_WITHIN_S = 10.0
"""Seconds to wait for a file: a network mount may show one that was just written elsewhere with some delay."""


class Asked(TypedDict):
    """What the driver expects of a node.

    Attributes:
        versions: As `versions_here` returns them on the driver.
        root: The storage.
        marker: A file in it that the driver wrote; None where the storage is not looked at.
        token: The content of that file.
        code: Hash of each piece of the user's own code, by dotted name.
        places: Folders in which it may lie, beside the usual ones.
        files: Paths that must exist.
        gpu: Share of a GPU that a trial trains on.
        bf16: Whether its device has to compute in bf16.
    """

    versions: dict[str, str]
    root: str
    marker: str | None
    token: str
    code: dict[str, str]
    places: list[str]
    files: list[str]
    gpu: float
    bf16: bool


Wrong = tuple[str, str, str]
"""Kind ("node" or "storage"), what is wrong, and what to do."""


_EXTRAS = ("timm",)
"""Packages that a node may lack: the space need not use them."""


def versions_here() -> dict[str, str]:
    """Return the versions that all nodes must share: pdsearch's with a hash of its code, torch's without the build.

    Records state those of the driver, and the networks of torchvision and timm are those of their release.
    """
    found = {"python": ".".join(platform.python_version_tuple()[:2]), "pdsearch": _code()}
    for name in ("ray", "torch", "torchvision", "numpy", *_EXTRAS):
        try:
            found[name] = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            if name not in _EXTRAS:
                found[name] = "missing"
    return found


def examine(asked: Asked) -> dict[str, str] | None:
    """Return why no trial can run on this node, or None.

    Args:
        asked: What the driver expects.

    Returns:
        "kind" ("node" or "storage"), "what" is wrong, and "hint", what to do.
    """
    _stand()
    for look in (_versions, _storage, _files, _own_code, _gpu, _bf16):
        wrong = look(asked)
        if wrong is not None:
            return dict(zip(("kind", "what", "hint"), wrong, strict=True))
    return None


def trial_computes_bf16(gpu: float) -> bool:
    """Return whether the device that a trial gets here computes in bf16; for a node that `examine` accepts."""
    # No user code is needed, and a job's working directory may be removed while torch is imported.
    os.chdir("/")
    return _has_bf16(gpu)


def present() -> None:
    """Do nothing: that it runs shows that some node fits a trial."""


def _stand() -> None:
    """Reenter the job's working directory where Ray has just removed it and unpacked it again."""
    try:
        os.getcwd()
    except FileNotFoundError:
        os.chdir(os.environ["PWD"])


def _versions(asked: Asked) -> Wrong | None:
    here = versions_here()
    wanted = asked["versions"].items()
    differ = [f"{name} {here[name]}, not {there}" for name, there in wanted if here.get(name, there) != there]
    hint = "install the same versions on every node, with constraints.txt"
    return ("node", f"it has {'; '.join(differ)}", hint) if differ else None


def _storage(asked: Asked) -> Wrong | None:
    if asked["marker"] is None:
        return None
    if "://" in asked["root"]:
        return _objects(asked)
    root, marker = Path(asked["root"]), Path(asked["marker"])
    hint = f"mount the same storage at {root} on every node, and let the user of Ray write there"
    until = time.monotonic() + _SEEN_WITHIN_S
    while True:
        try:
            content = marker.read_text()
            break
        except OSError as error:
            if time.monotonic() >= until or not root.is_dir():
                seen = f"is not the driver's: {error.strerror} for {marker.name}"
                seen = seen if root.is_dir() else "is not there"
                return "storage", f"its storage {root} {seen}", hint
            time.sleep(0.5)
    if content != asked["token"]:
        return "storage", f"its storage {root} is not the driver's", hint
    own = marker.with_name(f"{marker.stem}-{os.urandom(8).hex()}.tmp")
    try:
        own.write_text(asked["token"])
        own.unlink()
    except OSError as error:
        return "storage", f"its storage {root} cannot be written: {error.strerror}", hint
    try:
        importlib.import_module("pdsearch.io").check_writable(root, marker.parent)
    except Exception as error:  # pdsearch's, as below.
        told = f"its storage, {getattr(error, 'where', root)}: {getattr(error, 'what', error)}"
        return "storage", told, getattr(error, "hint", None) or hint
    return None


def _objects(asked: Asked) -> Wrong | None:
    """Check the marker in an object storage, with this node's own credentials."""
    assert asked["marker"] is not None
    storage = importlib.import_module("pdsearch.io")  # Its code is the driver's: versions were compared.
    hint = "give every node the driver's rights there: an instance role, a profile or the environment"
    marker = storage.place(asked["marker"])
    try:
        content = storage.read(marker)
        if content == asked["token"].encode():
            own = marker.with_name(f"{marker.name}-{os.urandom(8).hex()}.tmp")
            storage.replace(own, content)
            storage.remove(own)
            return _copies(storage.cache_folder(storage.place(asked["root"])))
    except Exception as error:  # The storage's errors are pdsearch's, which may not be importable by name.
        return "storage", f"its storage {asked['root']}: {getattr(error, 'what', error)}", hint
    return "storage", f"its storage {asked['root']} is not the driver's", hint


def _copies(folder: Path) -> Wrong | None:
    """Check the folder of this node in which copies of artifacts lie."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        hint = "let the user of Ray write there, or name another folder by XDG_CACHE_HOME where that node's Ray starts"
        return (
            "node",
            f"its folder for copies of artifacts, {folder}, cannot be written: {error.strerror}",
            hint,
        )
    return None


def _files(asked: Asked) -> Wrong | None:
    missing = [path for path in asked["files"] if not Path(path).exists()]
    hint = "put the data on the shared storage, or at this path on every node"
    return ("node", f"it has no {', '.join(missing)}", hint) if missing else None


def _own_code(asked: Asked) -> Wrong | None:
    if not asked["code"]:
        return None
    dotted = importlib.import_module("pdsearch.user_code")
    dotted.look_in(*asked["places"])
    hint = "install it on every node, or give its folder as --working-dir of ray job submit"
    for name, known in asked["code"].items():
        try:
            if dotted.source_hash(name) != known:
                return "node", f"its {name} is not the code the driver has", hint
        except Exception as error:  # The user's module may raise anything.
            return "node", f"its {name} cannot be imported: {getattr(error, 'what', error)}", hint
    return None


def _gpu(asked: Asked) -> Wrong | None:
    if not asked["gpu"] or importlib.import_module("torch").cuda.is_available():
        return None
    hint = "install a driver that fits its torch, or start its Ray with --num-gpus=0"
    return "node", "Ray gives trials a GPU there, but torch sees none", hint


def _bf16(asked: Asked) -> Wrong | None:
    if not asked["bf16"] or _has_bf16(asked["gpu"]):
        return None
    hint = "take it out of the cluster, or name a kind of GPU that has bf16 in resources.accelerator"
    return "node", "it would have to emulate bf16, in which this study computes (`precision: auto`)", hint


def _has_bf16(gpu: float) -> bool:
    engine = importlib.import_module("pdsearch.training.device")
    return bool(engine.computes_bf16("cuda" if gpu else "cpu"))


def _code() -> str:
    found = importlib.util.find_spec("pdsearch")
    if found is None or found.origin is None:
        return "missing"
    root, content = Path(found.origin).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{importlib.import_module('pdsearch').__version__} ({content.hexdigest()[:8]})"
