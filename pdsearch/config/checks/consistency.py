"""Checks of a whole space: conflicts, missing values, budgets, values given twice, no validation images.

With `data.val_fraction: 0` every training image is trained on, as in published recipes. Trials can then not be compared
before the test set is opened, so a space must be a finite list, each of whose configurations is confirmed.
"""

import json
from itertools import pairwise
from typing import Any

from pydantic import ValidationError

from pdsearch.config.catalog import FROM_TEACHER, NO_PRUNING, Selectable
from pdsearch.config.checks.applicability import DECIDERS, DISTILL_FIELDS, Reach
from pdsearch.config.checks.draft import Draft
from pdsearch.config.field_rules import PART_GROUPS, part_params, parts_of, path_of, rule_of, takers
from pdsearch.config.problems import add_complaints, quoted
from pdsearch.config.resolve import MOST_CONFIGURATIONS, in_order, points_of
from pdsearch.config.validators import METRICS
from pdsearch.config.yaml_tree import Mark, dotted, mark_of
from pdsearch.errors import nearest


def check_conflicts(draft: Draft) -> None:
    """Refuse a name that is both fixed in a section and declared under `space`."""
    for name, mark in draft.declared.marks.items():
        if name in draft.given:
            first = mark_of(draft.root, path_of(name), key=True)
            lines = f": {_place(first)} and {_place(mark)}" if first.line or mark.line else ""
            what = f"{name} stands twice, in its section and under space{lines}"
            # An override of a searched field by its plain name was meant to fix it.
            override = mark.line and not first.line
            hint = (
                f"to fix what is searched: --set space.{name}=VALUE" if override else "remove one of the two"
            )
            draft.problems.add(what, mark, key=dotted(("space", name)), hint=hint)


def _place(mark: Mark) -> str:
    return f"line {mark.line}" if mark.line else mark.source


def check_part_values(draft: Draft, selectable: Selectable) -> None:
    """Check the parameters of losses and methods, and options of models and of the data, given in sections."""
    for name, value in list(draft.given.items()):
        rule = rule_of(name, selectable)
        if rule is None:
            _refuse(draft, name, selectable)
            continue
        try:
            draft.given[name] = rule.read(value)
        except ValidationError as error:
            add_complaints(error, None, draft.root, draft.problems, at=path_of(name))


def _refuse(draft: Draft, name: str, selectable: Selectable) -> None:
    section, _, field = name.rpartition(".")
    known = {*DISTILL_FIELDS} if section == "distill" else set()
    if section in PART_GROUPS:
        known |= {f for params in parts_of(section, selectable).values() for f in part_params(params)}
    else:
        known |= {option for options in takers(section, selectable) for option in options.types}
    draft.complain(
        f"unknown key {quoted(field)}",
        name,
        f"{nearest(field, sorted(known))}known: {', '.join(sorted(known)) or 'none'}",
    )


CUT = "cut some off, e.g. `val_fraction: 0.1`"


def is_validated(draft: Draft) -> bool:
    """Return whether validation images are split off."""
    return draft.file.data.val_fraction > 0


def count_configurations(draft: Draft) -> int | None:
    """Return the number of configurations of a space; None with a continuous range, or for more than 1,000."""
    points = points_of(in_order(draft.parameters), limit=MOST_CONFIGURATIONS)
    return None if points is None else len(points)


def check_without_validation(draft: Draft) -> None:
    """Refuse settings that would select by validation images where there are none."""
    if is_validated(draft):
        return
    for recipe in ("teacher", "recover", "distill"):
        if "best_val" in draft.possible(f"train.{recipe}.select"):
            what = "best_val selects on validation images, and data.val_fraction is 0"
            draft.complain(what, f"train.{recipe}.select", "select last, or cut off a val_fraction")
    if draft.file.search.stop is not None:
        what = "stopping compares trials on validation images, and data.val_fraction is 0"
        draft.complain(what, "search.stop", f"remove it, or {CUT}")
    if draft.file.constraints:
        what = "constraints choose among trials, and nothing is chosen where data.val_fraction is 0"
        draft.complain(what, "constraints", "leave out of space what is not wanted")
    for i, objective in enumerate(draft.file.objectives or ()):
        if objective.metric == METRICS[0]:
            what = "there are no validation images to measure it on: data.val_fraction is 0"
            hint = f"leave objectives out, or {CUT}"
            draft.problems.add_at(draft.root, ("objectives", i, "metric"), what, hint)
    _check_list(draft)


def _check_list(draft: Draft) -> None:
    """Refuse a space that is neither one configuration nor a list of configurations that are all confirmed."""
    confirm, trials = draft.file.confirm, draft.file.search.trials
    count = count_configurations(draft)
    if count is None:
        what = (
            f"without validation images nothing is searched: a space lists up to {MOST_CONFIGURATIONS:,} "
            "configurations, by choices"
        )
        draft.complain(what, "data.val_fraction", f"write choices for every parameter, or {CUT}")
        return
    if trials not in (None, count):
        what = f"search.trials is {trials}, but nothing is selected: the space has {count} configurations"
        draft.complain(what, "search.trials", f"remove it, or {CUT}")
    if confirm is None:
        if draft.parameters:
            what = "a search compares trials on validation images, and a val_fraction of 0 leaves none"
            hint = f"add `confirm: {{seeds: 3}}` to train and test every configuration so often, or {CUT}"
            draft.complain(what, "data.val_fraction", hint)
        return
    if "teachers" in confirm.model_fields_set and confirm.teachers != count:
        what = (
            f"confirm.teachers is {confirm.teachers}, but without validation all {count} configurations are"
        )
        draft.complain(what, "confirm.teachers", "remove it")
    if FROM_TEACHER in draft.possible("student.model"):
        what = "a student shaped by its teacher has no shape before a search trial gave it one"
        draft.complain(what, "student.model", f"name the student's architecture, set confirm off, or {CUT}")


REQUIRED = (
    "teacher.model",
    "student.model",
    "train.teacher.epochs",
    "train.teacher.lr",
    "train.recover.epochs",
    "train.recover.lr",
    "train.distill.epochs",
    "train.distill.lr",
    "prune.ratio",
)


def check_whole(draft: Draft) -> None:
    """Run the checks that involve several fields; fields that are wrong by themselves count as absent."""
    if not any(draft.problems.flagged(name) or draft.problems.flagged(f"space.{name}") for name in DECIDERS):
        _check_effects(draft)
    for recipe in ("teacher", "recover", "distill"):
        _check_epochs(draft, recipe)
    _check_checkpoint(draft)
    _check_rewinding(draft)
    _check_student(draft)
    _check_metrics(draft)
    _check_front(draft)
    _check_stop(draft)
    _check_trials(draft)
    _check_accelerator(draft)
    check_without_validation(draft)


def _check_effects(draft: Draft) -> None:
    reach = Reach(draft.parameters, draft.fixed)
    options = [name for name in draft.fixed if name.startswith(("teacher.options.", "student.options."))]
    for name in (*draft.parameters, *options):
        _check_effect(draft, reach, name)
    for name in REQUIRED:
        _check_value(draft, reach, name)
    methods = reach.values("prune.method")
    if set(methods) == {NO_PRUNING} and "prune.ratio" in draft.fixed:
        draft.complain("nothing is pruned, so a ratio has no effect", "prune.ratio", "choose a prune.method")


def _check_effect(draft: Draft, reach: Reach, name: str) -> None:
    vain = reach.without_effect(name)
    if vain is None:
        return
    decider, values, others = vain
    what = f"{name} has no effect where {decider} is {', '.join(map(str, values))}"
    condition = f"when: {{{decider}: [{', '.join(map(str, others))}]}}"
    draft.complain(what, name, f"add `{condition}`" if others else "remove it")


def _check_value(draft: Draft, reach: Reach, name: str) -> None:
    situation = reach.missing(name)
    if situation is None or _may_be_misspelt(draft, name):
        return
    *section, field = path_of(name)
    place = ".".join(map(str, section))
    where = f" where {situation}" if situation else ""
    hint = f"add `{field}:` under {place}, or search {name} under space"
    if situation:
        hint = "widen its `when`"
    draft.complain(f"{name} is missing{where}", name, hint)


def _may_be_misspelt(draft: Draft, name: str) -> bool:
    """Return whether a missing name may stand in the file misspelt: its section is wrong, or holds an unknown key."""
    sections = [name[:i] for i, sign in enumerate(name) if sign == "."]
    return any(
        problem.key in sections
        or (problem.what.startswith("unknown key") and problem.key.rpartition(".")[0] in ("", *sections))
        for problem in draft.problems.found
    )


def _check_epochs(draft: Draft, recipe: str) -> None:
    prefix = f"train.{recipe}"
    epochs = [e for e in draft.possible(f"{prefix}.epochs") if e is not None]
    if not epochs:
        return
    for raw in draft.possible(f"{prefix}.milestones", []):
        milestones = _listed(raw)
        if any(b <= a for a, b in pairwise(milestones)):
            draft.complain(
                f"milestones {milestones} do not ascend",
                f"{prefix}.milestones",
                "write them in ascending order",
            )
        elif milestones and milestones[-1] >= min(epochs):
            what = f"the milestone {milestones[-1]} is never reached in {min(epochs)} epochs"
            draft.complain(what, f"{prefix}.milestones", "milestones lie below epochs")
    warmup = max(draft.possible(f"{prefix}.warmup_epochs", 0))
    if warmup >= min(epochs):
        what = f"a warm-up of {warmup} epochs leaves nothing of {min(epochs)}"
        draft.complain(what, f"{prefix}.warmup_epochs", "warm up for fewer epochs than there are")
    _check_cycle(draft, prefix)


def _check_cycle(draft: Draft, prefix: str) -> None:
    """Refuse a warm-up before a one-cycle schedule, which warms up by itself."""
    schedule, warmup = f"{prefix}.schedule", f"{prefix}.warmup_epochs"
    parameter = draft.parameters.get(warmup)
    apart = parameter is not None and "one_cycle" not in parameter.when.get(schedule, ("one_cycle",))
    if "one_cycle" in draft.possible(schedule) and max(draft.possible(warmup, 0)) > 0 and not apart:
        hint = f"remove it, or search it `when: {{{schedule}: [...]}}` without one_cycle"
        draft.complain("a one_cycle schedule warms up by itself", warmup, hint)


def _listed(value: Any) -> list[int]:
    return list(json.loads(value) if isinstance(value, str) else value)


def _check_checkpoint(draft: Draft) -> None:
    """Refuse settings that need a teacher's initial weights where only trained ones are given."""
    if "teacher.checkpoint" not in {*draft.fixed, *draft.parameters}:
        for name in ("teacher.head", "teacher.checkpoint_key"):
            if {None, "", "keep"} < {None, "", "keep", *draft.possible(name)}:
                draft.complain(
                    f"{name} has no effect without a checkpoint", name, "name a teacher.checkpoint"
                )
        return
    hint = "choose another, or let the teacher be trained here"
    if "init" in draft.possible("prune.at"):
        draft.complain("a checkpoint is trained; there are no initial weights to prune", "prune.at", hint)
    if "rewind" in draft.possible("prune.recovery"):
        draft.complain("a checkpoint has no initial weights to rewind to", "prune.recovery", hint)
    kept = "fresh" not in draft.possible("teacher.head")
    if kept and draft.file.confirm and draft.file.confirm.teacher_seeds > 1:
        what = "a checkpoint is one teacher; there is no seed to train another with"
        draft.complain(what, "confirm.teacher_seeds", "remove it, or let the teacher be trained here")


def _check_rewinding(draft: Draft) -> None:
    """Refuse a rewind epoch that no recovery uses, or that the teacher's training does not reach."""
    name = "prune.rewind_epoch"
    last = max(draft.possible(name, 0))
    if last == 0:
        return
    if "rewind" not in draft.possible("prune.recovery", "lr_rewind"):
        draft.complain("no recovery rewinds weights, so an epoch has no effect", name, "set recovery: rewind")
    epochs = [e for e in draft.possible("train.teacher.epochs") if e is not None]
    if epochs and last >= min(epochs):
        what = f"epoch {last} is not an early one of {min(epochs)}: recovery would begin from the trained weights"
        draft.complain(what, name, "name an epoch below train.teacher.epochs, or set recovery: lr_rewind")


def _check_student(draft: Draft) -> None:
    """Refuse initial weights of a teacher, or widths, of students that have none."""
    models = draft.possible("student.model")
    if "kept" in draft.possible("student.init", "fresh") and FROM_TEACHER not in models:
        what = "a named architecture has no weights of the teacher's to keep"
        draft.complain(what, "student.init", f"set student.model: {FROM_TEACHER}, or remove it")
    if draft.fixed.get("student.widths") and models == [FROM_TEACHER]:
        what = "the teacher's pruning determines the widths"
        draft.complain(what, "student.widths", "remove it, or name the student's model")


def _check_metrics(draft: Draft) -> None:
    metrics = [objective.metric for objective in draft.file.objectives or ()]
    for i, metric in enumerate(metrics):
        if metric in metrics[:i]:
            what = f"the objective {metric} stands twice"
            draft.problems.add_at(draft.root, ("objectives", i, "metric"), what, "keep one of them")


def _check_front(draft: Draft) -> None:
    confirm, several = draft.file.confirm, len(draft.file.objectives or ()) > 1
    if confirm is not None and confirm.front is not None and not (several and is_validated(draft)):
        lack = "one objective has no front" if not several else "without validation images no front is found"
        what = f"{lack}, so confirm.front has no effect"
        draft.complain(what, "confirm.front", "remove it" if several else "remove it, or add to `objectives`")


def _check_stop(draft: Draft) -> None:
    stop = draft.file.search.stop
    if stop is None:
        return
    if len(draft.file.objectives or ()) > 1 and stop.metric is None:
        hint = f"name the one that decides: `stop: {{metric: {METRICS[0]}, ...}}`"
        draft.complain("several objectives, and stop names no metric", "search.stop", hint)
    if stop.metric not in (None, METRICS[0]):
        what = f"{stop.metric} is the same in every epoch, it cannot stop a trial"
        draft.complain(what, "search.stop.metric", f"use {METRICS[0]}")
    elif stop.metric is None and draft.file.objectives and draft.file.objectives[0].metric != METRICS[0]:
        what = f"{draft.file.objectives[0].metric} is the same in every epoch, it cannot stop a trial"
        draft.complain(what, "search.stop", f"name a metric: `stop: {{metric: {METRICS[0]}, ...}}`")
    epochs = [e for e in draft.possible("train.distill.epochs") if e is not None]
    first = stop.halving.min_epochs
    if epochs and first >= min(epochs):
        what = f"the first rung, {first}, is never reached in {min(epochs)} epochs of train.distill"
        draft.complain(what, "search.stop.halving.min_epochs", "min_epochs lies below epochs")


def _check_trials(draft: Draft) -> None:
    trials = draft.file.search.trials
    if (
        trials is None
        and draft.parameters
        and is_validated(draft)
        and not _may_be_misspelt(draft, "search.trials")
    ):
        draft.complain(
            "search.trials is missing", "search.trials", "say how many trials to run, e.g. `trials: 60`"
        )


def _check_accelerator(draft: Draft) -> None:
    resources = draft.file.resources
    if resources.accelerator is not None and not resources.gpu:
        hint = "set resources.gpu, or remove it"
        draft.complain("no GPU is asked for, so its kind has no effect", "resources.accelerator", hint)
    if draft.file.search.gpu_hours is not None and not resources.gpu:
        hint = "set resources.gpu, or limit the time: search.timeout"
        draft.complain("no GPU is asked for, so no GPU hours are used", "search.gpu_hours", hint)
