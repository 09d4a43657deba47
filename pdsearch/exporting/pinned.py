"""Space file that runs one trial again: every field of its specification is fixed."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import yaml

from pdsearch.codec import encode
from pdsearch.specs import AtInit, NoRecovery, Params, TrialSpec

_PLAIN_WORD = re.compile(r"[A-Za-z_/][A-Za-z0-9_./ -]*")


def pinned_space(
    spec: TrialSpec,
    *,
    study: str,
    storage: str = "runs/",
    resources: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return the sections of a space file that describes one trial: `resolve({})` gives its specification.

    Hashes of data, checkpoint and code are not in it: as in every study, they are computed from the files.

    Args:
        spec: The trial.
        study: Name of the study that runs it again.
        storage: Storage of that study.
        resources: Resources of the trial, e.g. {"cpu": 4, "gpu": 1}; None means the defaults.
    """
    document: dict[str, Any] = {
        "study": study,
        "data": _section(spec.data, drop=("fingerprint",)),
        "teacher": _section(spec.teacher, drop=("recipe", "fingerprint", "code")),
        "student": _section(spec.student, drop=("code",)),
        "train": _recipes(spec),
        "prune": {"method": "none"} if spec.prune is None else _section(spec.prune, drop=("recipe", "code")),
        "distill": {
            **_section(spec.distill, drop=("recipe", "params", "code", "replicas")),
            **_plain_pairs(spec.distill.params),
        },
        "search": {"trials": 1},
        "confirm": "off",
    }
    if resources:
        document["resources"] = dict(resources)
    return {**document, "precision": spec.precision, "storage": storage}


def _recipes(spec: TrialSpec) -> dict[str, Any]:
    recipes = {"distill": _section(spec.distill.recipe)}
    if spec.teacher.trained_here:
        recipes = {"teacher": _section(spec.teacher.recipe), **recipes}
    # With `at: init` the teacher's recipe is used, with `recovery: none` none is: `train.recover` is not read.
    if spec.prune is not None and not isinstance(spec.prune.after_round, AtInit | NoRecovery):
        recipes["recover"] = _section(spec.prune.recipe)
    return recipes


def _section(spec: Any, drop: tuple[str, ...] = ()) -> dict[str, Any]:
    section: dict[str, Any] = {}
    for item in dataclasses.fields(spec):
        value = getattr(spec, item.name)
        if item.name in drop or value is None or value == "":
            continue
        named = item.name in ("options", "params")
        section[item.name] = _plain_pairs(value) if named else encode(value)
    return {name: value for name, value in section.items() if value != {}}


def _plain_pairs(params: Params) -> dict[str, Any]:
    return {name: encode(value) for name, value in params}


class _Dumper(yaml.SafeDumper):
    """YAML dumper that quotes strings which YAML 1.2 would read as numbers."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None if _PLAIN_WORD.fullmatch(value) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return sections as the text of a space file, in their order."""
    return yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=100)
