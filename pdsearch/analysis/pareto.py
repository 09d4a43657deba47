"""The Pareto front: trials not dominated by any other in several objectives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pdsearch.analysis.groups import confirmed_groups, means_of
from pdsearch.analysis.statistics import Estimate
from pdsearch.analysis.study_table import Row, StudyTable
from pdsearch.errors import ConfigError
from pdsearch.objectives import front, weighed


@dataclass(frozen=True)
class Confirmed:
    """What students with fresh seeds reached in the configuration of a trial.

    Args:
        seeds: Number of these students.
        val: Their validation accuracy.
        test: Their test accuracy.
        means: Means of all metrics by name.
        stands: Whether no other confirmed member's means dominate these.
    """

    seeds: int
    val: Estimate | None
    test: Estimate | None
    means: Mapping[str, float]
    stands: bool = True


@dataclass(frozen=True)
class Front:
    """Trials no other trial dominates.

    Args:
        study: Name of the study.
        objectives: (metric, goal) pairs.
        rows: The trials, best in the first objective first.
        left_out: Complete trials that lack one of the metrics.
        confirmed: What confirmation says of those that were confirmed, by id.
    """

    study: str
    objectives: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    left_out: tuple[Row, ...] = ()
    confirmed: Mapping[str, Confirmed] = field(default_factory=dict)


def pareto_front(study: StudyTable) -> Front:
    """Return the front of a study's complete search trials, without those that break a constraint.

    Raises:
        ConfigError: There are fewer than two objectives.
    """
    chosen = tuple((objective.metric, objective.goal) for objective in study.aims.objectives)
    if len(chosen) < 2:
        hint = "search with several `objectives`; `pdsearch rank --rows FILE` writes all metrics of any study"
        raise ConfigError("a front needs two objectives or more", hint=hint)
    eligible = (row for row in study.rows if row.kind in ("search", "baseline") and row.state == "complete")
    rows = sorted((r for r in eligible if study.aims.feasible(r.record.values)), key=lambda row: row.id)
    metrics = [row.record.values for row in rows]
    whole = [place for place, found in enumerate(metrics) if all(metric in found for metric, _ in chosen)]
    points = [[metrics[place][metric] for metric, _ in chosen] for place in whole]
    kept = [whole[place] for place in front(points, [goal for _, goal in chosen])]
    metric, goal = chosen[0]
    kept.sort(key=lambda place: (-weighed(metrics[place][metric], goal), rows[place].id))
    left_out = tuple(row for place, row in enumerate(rows) if place not in set(whole))
    members = tuple(rows[place] for place in kept)
    return Front(study.name, chosen, members, left_out, _confirmed(study, members, chosen))


def _confirmed(
    study: StudyTable, members: Sequence[Row], objectives: Sequence[tuple[str, str]]
) -> dict[str, Confirmed]:
    groups = {group.setting: group for group in confirmed_groups(study.rows)}
    val, test = means_of(groups.values(), "val_accuracy"), means_of(groups.values(), "test_accuracy")
    found = {
        row.id: Confirmed(len(group.counted), val.get(row.setting), test.get(row.setting), group.means())
        for row in members
        if (group := groups.get(row.setting))
    }
    whole = {name: one.means for name, one in found.items() if all(m in one.means for m, _ in objectives)}
    points = [[means[metric] for metric, _ in objectives] for means in whole.values()]
    standing = {[*whole][place] for place in front(points, [goal for _, goal in objectives])}
    return {name: replace(one, stands=name in standing) for name, one in found.items()}
