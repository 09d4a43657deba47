"""Gains of a teacher's students over the baselines, paired by seed."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from pdsearch.analysis.groups import Group, Metric, Seeds, role_of, units
from pdsearch.analysis.statistics import Gain, holm, paired_gain
from pdsearch.analysis.study_table import Row, setting_of
from pdsearch.specs import digest

__all__ = ["Families", "all_gains", "gain_over_config", "gain_over_control", "gain_over_group"]

ByConfig: TypeAlias = Mapping[tuple[str, int], Row]
_CHOOSING = ("method", "params", "code", "scope", "exclude")
"""Fields of pruning that select the weights to remove, and do not affect how long the teacher is trained."""

Families: TypeAlias = Mapping[str, Mapping[str, Gain]]
"""Question -> setting of the group -> gain."""


def all_gains(best: Sequence[Group], groups: Iterable[Group], metric: Metric) -> Families:
    """Return the gain for every question of `ranked.QUESTIONS` and every teacher, p-values adjusted per question.

    Args:
        best: One group for each teacher: its best configuration.
        groups: All confirmed groups, baselines included.
        metric: The metric to compare.
    """
    groups = list(groups)
    partners = {(row.config, row.student_seed): row for group in groups for row in group.rows.values()}
    # Without validation nothing was selected, so no unpruned teacher has a best configuration of its own.
    own_best = {
        _dense(group): group for group in best if role_of(group.first) == "unpruned" and group.validated
    }
    pruned = [group for group in best if role_of(group.first) == "teacher"]
    taught = [group for group in best if group.teacher is not None]
    controls = {_as_long(group): group for group in groups if group.control}
    return {
        "unpruned_same": _family(pruned, lambda g: gain_over_config(g, "unpruned_config", partners, metric)),
        "alone": _family(taught, lambda g: gain_over_config(g, "alone_config", partners, metric)),
        "unpruned_best": _family(pruned, lambda g: gain_over_group(g, own_best.get(_dense(g)), metric)),
        "control": _family(pruned, lambda g: gain_over_control(g, controls, metric)),
    }


def gain_over_control(group: Group, controls: Mapping[str, Group], metric: Metric) -> Gain | None:
    """Pair a pruned teacher's students with those of the unpruned control that was trained as long.

    Args:
        group: The students.
        controls: Groups of controls by `_as_long`.
        metric: The metric to compare.
    """
    control = None if group.control else controls.get(_as_long(group))
    # If teachers shape their students, these have different architectures and cannot be compared.
    same = control is not None and control.first.student_params == group.first.student_params
    return gain_over_group(group, control, metric) if same else None


def _as_long(group: Group) -> str:
    """Return the hash of a configuration without seeds and without the fields that select the weights to remove."""
    spec = json.loads(group.first.spec)
    prune = {name: value for name, value in spec["prune"].items() if name not in _CHOOSING}
    return setting_of({**spec, "prune": prune})


def _dense(group: Group) -> str:
    """Return the hash of a dense teacher without its seed; includes augmentation, since it is trained on views."""
    spec = json.loads(group.first.spec)
    teacher = {name: value for name, value in spec["teacher"].items() if name != "seed"}
    return digest({**teacher, "augment": spec["data"].get("augment", "none")})


def _family(groups: Iterable[Group], question: Callable[[Group], Gain | None]) -> dict[str, Gain]:
    asked = [(group.setting, question(group)) for group in groups]
    found = [(setting, gain) for setting, gain in asked if gain is not None]
    adjusted = holm([gain.p for _, gain in found])
    return {setting: replace(gain, p_holm=p) for (setting, gain), p in zip(found, adjusted, strict=True)}


def gain_over_config(group: Group, baseline: str, partners: ByConfig, metric: Metric) -> Gain | None:
    """Pair each student with that of the baseline named in its record, at the same student seed.

    Args:
        group: The students.
        baseline: "unpruned_config" or "alone_config".
        partners: Confirmation rows by (config, student seed).
        metric: The metric to compare.
    """
    found: dict[Seeds, Row] = {}
    for seeds, row in group.rows.items():
        partner = partners.get((getattr(row, baseline) or "", row.student_seed))
        if partner is not None:
            found[seeds] = partner
    return _gain(group, found, metric)


def gain_over_group(group: Group, other: Group | None, metric: Metric) -> Gain | None:
    """Pair students of two configurations by teacher seed and student seed; None without a second one."""
    return _gain(group, other.rows, metric) if other else None


def _gain(group: Group, partners: Mapping[Seeds, Row], metric: Metric) -> Gain | None:
    ours = group.values(metric)
    theirs = {seeds: getattr(row, metric) for seeds, row in partners.items()}
    pairs = {seeds: value - theirs[seeds] for seeds, value in ours.items() if theirs.get(seeds) is not None}
    found = [paired_gain(list(unit.values()), unpaired=len(ours) - len(pairs)) for unit in units(pairs)]
    gains = [gain for gain in found if gain is not None]
    return max(gains, key=lambda gain: gain.estimate.half_width or 0.0) if gains else None
