"""Short, unique labels of teachers."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import PurePath
from typing import Any

from pdsearch.analysis.groups import role_of
from pdsearch.analysis.ranked import Ranked
from pdsearch.analysis.study_table import Row
from pdsearch.specs import Json

MOST = 4
"""Most differences a label shows; of more, words such as a loss first, and only as many as tell the lines apart."""

UNTOLD = {"seed", "view_seed", "replicas", "fingerprint"}
"""Fields left out of labels: those a line averages over, and those that mean nothing to a reader."""

WORDS = {"prune.schedule", "prune.recovery", "prune.scope", "distill.loss", "student.model"}
"""Fields whose values are shown without the field's name."""


def several(count: int | str, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is 1."""
    return f"{count} {noun}{'' if str(count) == '1' else 's'}"


def teacher_label(row: Row) -> str:
    """Return a teacher's name, e.g. "vgg19_bn magnitude 59%", or "vgg19_bn train_on 4 rounds" for a control."""
    role = role_of(row)
    if role == "alone":
        return "student alone"
    if role == "unpruned":
        given = f"{row.teacher_sparsity:.0%} sparse as given" if row.teacher_sparsity else "unpruned"
        return f"{_teacher(row)} {given}"
    if row.teacher_sparsity == 0 and row.prune_rounds is not None:
        return f"{_teacher(row)} {row.prune_method} {row.prune_rounds} rounds"
    share = row.teacher_sparsity if row.teacher_sparsity is not None else row.prune_ratio
    return f"{_teacher(row)} {row.prune_method} {0.0 if share is None else share:.0%}"


def of_what(prunable: int | None, params: int | None) -> str:
    """Return in words what a sparsity is a share of: the prunable weights, and how many of all they are.

    Args:
        prunable: Weights that the method may remove; None in earlier records.
        params: All weights of the unpruned network.
    """
    if prunable is None or not params:
        return "the prunable weights"
    share = 100 * prunable / params
    return f"{prunable:,} prunable weights, {share:.{0 if share < 99 else 1}f} % of all {params:,}"


def _teacher(row: Row) -> str:
    """Return the model's name, and the file that its weights are from, if they are from one."""
    file = row.record.spec.teacher.checkpoint
    return f"{row.teacher_model} ({PurePath(file).name})" if file else str(row.teacher_model)


def unique_labels(rows: Sequence[Ranked], *, several: bool) -> tuple[Ranked, ...]:
    """Label every line; equal labels get their differences added, or the start of the configuration's hash.

    Args:
        rows: The lines.
        several: Whether the study has students of several sizes or architectures, so that labels name them.
    """
    names = [teacher_label(row.best) for row in rows]
    for more in (_differences, _hashes):
        alike: dict[tuple[str, str], list[int]] = defaultdict(list)
        for place, (name, row) in enumerate(zip(names, rows, strict=True)):
            # A teacher differs from another one with whatever student; two lines of one teacher may differ in that.
            alike[name, row.student if more is _hashes else ""].append(place)
        for places in alike.values():
            if len(places) > 1:
                for place, text in zip(places, more([rows[place].best for place in places]), strict=True):
                    names[place] = f"{names[place]} {text}".rstrip()
    if several:
        names = [
            f"{row.student} alone" if row.role == "alone" else f"{name} -> {row.student}"
            for name, row in zip(names, rows, strict=True)
        ]
    return tuple(replace(row, label=name) for name, row in zip(names, rows, strict=True))


def _differences(rows: Sequence[Row]) -> list[str]:
    """Return for each row the values in which it differs from the others; if there are many, those that tell most."""
    fields = [_fields(row) for row in rows]
    texts = {
        name: _texts(name, [given.get(name) for given in fields]) for name in dict.fromkeys(chain(*fields))
    }
    told = [
        texts[name] for name in sorted(texts, key=lambda name: name not in WORDS) if len({*texts[name]}) > 1
    ]
    if len(told) > MOST:
        few: list[list[str]] = []
        for column in told:
            if len({*zip(*few, column, strict=True)}) > len({*zip(*few, strict=True)}):
                few.append(column)
        told = few
    else:
        told = [texts[name] for name in texts if texts[name] in told]
    return [" ".join(filter(None, line)) for line in zip(*told, strict=True)] or [""] * len(rows)


def _fields(row: Row) -> dict[str, Json]:
    """Return the fields that identify a line: those of the teacher; also of the student where nothing was selected."""
    spec = json.loads(row.spec)  # In alphabetical order, whatever the order of the fields in their classes.
    sections = ["teacher", "prune", *([] if row.val_accuracy is not None else ["student", "distill"])]
    # A teacher is trained on augmented views, so another augmentation makes another teacher.
    found: dict[str, Json] = {"data.augment": spec["data"].get("augment", "none")}
    for section in sections:
        for name, value in (spec.get(section) or {}).items():
            if name not in UNTOLD:
                found |= _leaves(f"{section}.{name}", value)
    return found


def _leaves(name: str, value: Any) -> dict[str, Json]:
    """Flatten a recipe's fields and a part's parameters; return everything else unchanged."""
    if name.endswith(("options", "params")):
        value = dict(value)
    if isinstance(value, dict):
        return {f"{name}.{key}": each for key, each in value.items()}
    return {} if value is None else {name: value}


def _texts(name: str, values: Sequence[object]) -> list[str]:
    """Return how a field is shown for each of its values, different ones differently; a line without it shows none."""
    section, *_, field = name.split(".")
    short = [_short(field, value) for value in values]
    if len({*short}) < len({*map(repr, values)}):
        short = ["" if value is None else str(value).replace(" ", "") for value in values]
    if name in WORDS:
        return short
    recipe = (
        {"teacher": "teacher ", "prune": "recover ", "distill": "distill "}[section]
        if ".recipe." in name
        else ""
    )
    return [f"{recipe}{field} {text}" if text else "" for text in short]


def _short(field: str, value: object) -> str:
    if value is None:
        return ""
    if field in ("code", "checkpoint"):
        return str(value)[:8] if field == "code" else PurePath(str(value)).name
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace(" ", "")


def _hashes(rows: Sequence[Row]) -> list[str]:
    return [
        ((row.teacher_config if row.val_accuracy is not None else None) or row.setting)[:8] for row in rows
    ]
