"""What is a teacher called in a table? Short, and different from every other."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from pdsearch.analysis.groups import role_of
from pdsearch.analysis.ranked import Ranked
from pdsearch.analysis.row import Row

__all__ = ["label", "unique_labels"]


def label(row: Row) -> str:
    """Return a teacher's name, e.g. "vgg19_bn magnitude 59%"."""
    role = role_of(row)
    if role == "alone":
        return "student alone"
    if role == "unpruned":
        return f"{row.teacher_model} unpruned"
    share = row.teacher_sparsity if row.teacher_sparsity is not None else row.prune_ratio
    return f"{row.teacher_model} {row.prune_method} {0.0 if share is None else share:.0%}"


def unique_labels(rows: Sequence[Ranked]) -> tuple[Ranked, ...]:
    """Name every line; equal names get what tells them apart, or the start of the configuration's hash."""
    names = [label(row.best) for row in rows]
    for more in (_loss, _pruning, _hash):
        count = Counter(names)
        names = [
            f"{name} {more(row.best)}".rstrip() if count[name] > 1 else name
            for name, row in zip(names, rows, strict=True)
        ]
    return tuple(replace(row, label=name) for name, row in zip(names, rows, strict=True))


def _loss(row: Row) -> str:
    # Only configurations of a study without validation share a teacher.
    return row.loss if row.val_accuracy is None else ""


def _pruning(row: Row) -> str:
    details = (row.prune_schedule, row.prune_recovery, row.prune_scope)
    return " ".join(detail for detail in details if detail)


def _hash(row: Row) -> str:
    return ((row.teacher_config if row.val_accuracy is not None else None) or row.setting)[:8]
