"""Warnings and notes on settings that are legal but costly or doubtful, with their cost."""

from collections.abc import Iterable, Mapping

from pdsearch.config.catalog import FROM_TEACHER, NO_PRUNING, has
from pdsearch.config.checks.applicability import Reach
from pdsearch.config.checks.draft import Draft
from pdsearch.config.field_rules import section_defaults
from pdsearch.config.resolve import MOST_CONFIGURATIONS, in_order, points_of
from pdsearch.config.space import Parameter
from pdsearch.config.yaml_tree import Scalar
from pdsearch.objectives import better_goal
from pdsearch.pruning.registry import geometric_round, geometric_sparsity
from pdsearch.records.codec import frozen
from pdsearch.specs import DistillSpec, PruneSpec


def notes_on(draft: Draft) -> tuple[str, ...]:
    """Return notes on the rounds that the ratios of a geometric schedule amount to."""
    if "geometric" not in draft.possible("prune.schedule", "geometric") or not _prunes(draft):
        return ()
    ratios = draft.parameters.get("prune.ratio")
    if ratios is not None and ratios.kind != "categorical":
        return ()
    return tuple(
        f"prune.ratio {ratio:g} means round {geometric_round(ratio)} of the geometric schedule: "
        f"{geometric_sparsity(geometric_round(ratio)):.4f}"
        for ratio in draft.possible("prune.ratio")
        if ratio is not None
    )


def warnings_on(draft: Draft) -> tuple[str, ...]:
    """Return the warnings, one sentence each."""
    found = [
        *_idle_warnings(draft),
        *_recovery_warnings(draft),
        *_ratio_warnings(draft),
        *_seed_warnings(draft),
        *_trial_warnings(draft),
    ]
    trials = draft.file.search.trials
    if not draft.parameters and trials is not None and trials > 1:
        found.append(f"search.trials is {trials}, but nothing is searched: every trial is the same")
    found += [
        f"the objective {objective.metric} is minimized: the worst students are looked for"
        for objective in draft.file.objectives or ()
        if objective.goal == "minimize" != better_goal(objective.metric)
    ]
    if not draft.parameters and draft.file.search.stop is not None:
        found.append("search.stop has nothing to compare: nothing is searched")
    return tuple(found)


OF_SCHEDULES = {"milestones": "step", "gamma": "step", "peak": "one_cycle"}
OF_OPTIMIZERS = {"momentum": "sgd", "nesterov": "sgd"}
NEEDED = {"gamma": "milestones", "decay_norms": "weight_decay", "nesterov": "momentum"}
"""What a field of a recipe has nothing to do without."""


def _idle_warnings(draft: Draft) -> list[str]:
    """Return a warning for every value that was given, differs from its default and has no effect in any trial."""
    found: dict[tuple[str, str], list[str]] = {}
    reach = Reach(draft.parameters, draft.fixed)
    for name, value in {**draft.given, **draft.parameters, **_given_beside(draft)}.items():
        section, _, field = name.rpartition(".")
        if frozen(value) == section_defaults().get(name):
            continue  # A complete configuration, such as an export, also writes out the defaults.
        cause = (
            _idle_in_recipe(draft, section, field)
            or _idle_in_space(reach, name)
            or _idle_elsewhere(draft).get(name, "")
        )
        if cause:
            found.setdefault((section, cause), []).append(field)
    return [
        f"{', '.join(f'{section}.{field}' for field in fields)} {'have' if fields[1:] else 'has'} no effect: {cause}"
        for (section, cause), fields in found.items()
    ]


def _given_beside(draft: Draft) -> dict[str, object]:
    """Return what the sections that are no part of a trial give, and that is no default, by dotted name."""
    return {
        f"{name}.{field}": getattr(section, field)
        for name, section in (("search", draft.file.search), ("resources", draft.file.resources))
        for field in section.model_fields_set
        if getattr(section, field) != type(section).model_fields[field].default
    }


def _idle_elsewhere(draft: Draft) -> dict[str, str]:
    """Return what leaves fields without effect that neither a recipe nor the choice of a part decides, by field."""
    data, possible = draft.file.data, draft.possible
    losses, methods = possible("distill.loss", DistillSpec.loss), possible("prune.method", NO_PRUNING)
    found = {}
    if not draft.file.resources.gpu:
        found["resources.cuda_graphs"] = "resources.gpu is 0"
    if not draft.parameters or not data.val_fraction:
        why = (
            "data.val_fraction is 0, and every configuration is run"
            if draft.parameters
            else "nothing is searched"
        )
        found |= {"search.sampler": why, "search.seed": why}
    if not (data.val_fraction or data.test_fraction or data.subset):
        found["data.split_seed"] = "nothing is cut off"
    if data.source == "digits":
        found["data.root"] = "data.source is digits, which come with pdsearch"
    seeds = possible("distill.view_seed", 0) == possible("distill.seed", 0)  # as an export writes both
    if {*possible("data.augment", "none")} == {"none"} and not seeds:
        found["distill.view_seed"] = "data.augment is none"
    if not _any("compares features", losses):
        why = f"distill.loss is {' or '.join(losses)}, without features"
        found |= {"distill.teacher_layers": why, "distill.student_layers": why}
    if not _any("removes", methods) and {*methods} != {NO_PRUNING}:
        why = f"prune.method is {' or '.join(methods)}, and removes nothing"
        found |= {"prune.scope": why, "prune.exclude": why}
    if not _any("hears", losses) and FROM_TEACHER not in possible("student.model"):
        found["prune.method"] = f"distill.loss is {' or '.join(losses)}, without a teacher"
    return found


def _any(trait: str, parts: Iterable[object]) -> bool:
    return any(part != NO_PRUNING and has(trait, str(part)) for part in parts)


def _idle_in_recipe(draft: Draft, section: str, field: str) -> str:
    if not section.startswith("train."):
        return ""
    needed = NEEDED.get(field)
    if needed is not None:
        values = draft.possible(f"{section}.{needed}", section_defaults()[f"{section}.{needed}"])
        if not any(values):
            return f"{section}.{needed} is {'empty' if needed == 'milestones' else 0}"
    for decider, default, owners in (("schedule", "step", OF_SCHEDULES), ("optimizer", "sgd", OF_OPTIMIZERS)):
        values = draft.possible(f"{section}.{decider}", default)
        if field in owners and owners[field] not in values:
            return f"{section}.{decider} is {' or '.join(values)}"
    return ""


def _idle_in_space(reach: Reach, name: str) -> str:
    vain = {} if name in reach.parameters else reach.never(name)
    return ", or ".join(f"{decider} is {' or '.join(map(str, values))}" for decider, values in vain.items())


def _prunes(draft: Draft) -> bool:
    return set(draft.possible("prune.method", NO_PRUNING)) != {NO_PRUNING}


def _ratio_warnings(draft: Draft) -> list[str]:
    ratio = draft.parameters.get("prune.ratio")
    if ratio is None or not _prunes(draft):
        return []
    geometric = draft.possible("prune.schedule", "geometric") == ["geometric"]
    if ratio.kind == "categorical":
        return _same_rounds([c for c in ratio.choices if isinstance(c, float)]) if geometric else []
    if ratio.low is None or ratio.high is None or ratio.step is not None:
        return []
    if geometric:
        rounds = range(geometric_round(ratio.low), geometric_round(ratio.high) + 1)
        listed = ", ".join(f"{geometric_sparsity(k):.4f}" for k in rounds[:8])
        return [
            f"prune.ratio is a range, but a geometric schedule reaches only whole rounds: write choices, "
            f"[{listed}{', ...' if len(rounds) > 8 else ''}]"
        ]
    return [
        f"prune.ratio is a range, so "
        f"no key ever repeats and no pruned teacher is ever shared: {_price(draft)}"
    ]


def _price(draft: Draft) -> str:
    one_shot = draft.possible("prune.schedule", "geometric") == ["one_shot"]
    rounds = 1 if one_shot else max(draft.possible("prune.rounds", 1))
    epochs = max((e for e in draft.possible("train.recover.epochs") if e is not None), default=0)
    if "train.teacher.epochs" in draft.fixed and draft.possible("prune.at", "trained") == ["init"]:
        epochs = draft.fixed["train.teacher.epochs"]
    if draft.possible("prune.recovery", "lr_rewind") == ["none"]:
        epochs = 0
    trials = draft.file.search.trials or 1
    each = rounds * epochs
    return (
        f"up to {each:,} epochs of recovery for every trial, {each * trials:,} in {trials} trials; "
        "write choices instead"
    )


def _same_rounds(ratios: list[float]) -> list[str]:
    rounds: dict[int, list[float]] = {}
    for ratio in ratios:
        rounds.setdefault(geometric_round(ratio), []).append(ratio)
    return [
        f"the ratios {' and '.join(f'{r:g}' for r in same)} are one geometric round, the {k}th"
        for k, same in rounds.items()
        if len(same) > 1
    ]


def _seed_warnings(draft: Draft) -> list[str]:
    return [
        f"{name} is searched: trials then differ by luck as well; leave seeds to confirm"
        for name in ("distill.seed", "distill.view_seed")
        if name in draft.parameters
    ]


def _recovery_warnings(draft: Draft) -> list[str]:
    # A complete configuration, such as an export, also writes out the default, so that it is no request.
    asked = draft.fixed.get("prune.recovery", PruneSpec.recovery) != PruneSpec.recovery
    at = draft.possible("prune.at", "trained")
    # Where it always is, that is told with all such values.
    if not asked or "init" not in at or {*at} == {"init"}:
        return []
    return [
        "prune.recovery has no effect where prune.at is init: the teacher's own recipe follows the pruning"
    ]


FEWEST_TRIALS = 5
"""Trials a teacher, with fewer of which the best one misses confirmation about every second time."""

OF_LESSONS = ("distill.", "train.distill.")


def _trial_warnings(draft: Draft) -> list[str]:
    """Warn of a search or a confirmation too short for its teachers and students, and of nothing that has a range."""
    trials, confirm = draft.file.search.trials, draft.file.confirm
    made = {name: p for name, p in draft.parameters.items() if not name.startswith(OF_LESSONS)}
    students = len(_points({name: p for name, p in made.items() if name.startswith("student.")}))
    found = []
    if confirm is not None and confirm.teachers < students:
        found.append(
            f"confirm.teachers is {confirm.teachers} for {students} students: some are confirmed with no teacher"
        )
    pairs, searches = len(_points(made)), len(made) < len(draft.parameters) or students > 1
    if trials is not None and searches and pairs > 1 and trials < FEWEST_TRIALS * pairs:
        what = f"{pairs} teachers" if students == 1 else f"{pairs} pairs of teacher and student"
        found.append(
            f"search.trials is {trials} for {what}, {trials / pairs:.1f} each: with fewer than "
            f"{FEWEST_TRIALS} the best teacher misses confirmation about every second time"
        )
    return found


def _points(made: Mapping[str, Parameter]) -> list[dict[str, Scalar]]:
    """Return the points of those that depend on no other; one where there is a range."""
    alone = {name: p for name, p in made.items() if all(decider in made for decider in p.when)}
    return points_of(in_order(alone), limit=MOST_CONFIGURATIONS) or [{}]
