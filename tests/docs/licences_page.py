"""docs/licences.md: the licence of everything that `pip install pdsearch` brings; run this module to write it."""

import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.tree import ROOT

PAGE = ROOT / "docs/licences.md"
EXTRAS = ("onnx", "postgres", "timm")
HEAD = """\
# Licences of the dependencies

What `pip install pdsearch` installs, as each package declares it, written by `python -m tests.docs.licences_page` on
Linux, with the extras. NVIDIA's packages come with PyTorch's build for CUDA, under proprietary terms;
PyTorch's build for CPUs brings none of them.

| Package | Licence | Needed by |
|---|---|---|
"""


def needed(extras: tuple[str, ...] = ("", *EXTRAS)) -> dict[str, str]:
    """Return every package that is installed with pdsearch, with the one that needs it."""
    found: dict[str, str] = {}
    waiting = [("pdsearch", extras, "")]
    while waiting:
        name, asked, by = waiting.pop(0)
        for requirement in _requirements(name, asked):
            other = canonicalize_name(requirement.name)
            if other not in found and other != "pdsearch":
                found[other] = name
                waiting.append((other, ("", *requirement.extras), by))
    return found


def _requirements(name: str, extras: tuple[str, ...]) -> Iterator[Requirement]:
    for requirement in map(Requirement, _declared(name)):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            yield requirement


def _declared(name: str) -> list[str]:
    if name == "pdsearch":  # An environment may hold an older one.
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return [*project["dependencies"], *(r for e in EXTRAS for r in project["optional-dependencies"][e])]
    try:
        return distribution(name).requires or []
    except PackageNotFoundError:  # For another system or Python.
        return []


def licence(name: str) -> str | None:
    """Return a package's licence in a few words; None where it is not installed."""
    try:
        about = metadata(name)
    except PackageNotFoundError:
        return None
    said = str(about.json.get("license_expression") or "")
    classified = [
        text.rpartition(" :: ")[2] for text in about.get_all("Classifier") or [] if text.startswith("License")
    ]
    long = str(about.json.get("license") or "").strip().splitlines()
    return said or ", ".join(classified) or (long[0] if long else "") or "not declared"


def page() -> str:
    """Return the page."""
    rows = [(name, licence(name), by) for name, by in sorted(needed().items())]
    return HEAD + "".join(f"| {name} | {said} | {by} |\n" for name, said, by in rows if said)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
