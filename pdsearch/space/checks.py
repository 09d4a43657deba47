"""Does the whole make sense? What no single field knows: conflicts, missing values, epochs, budgets."""

from itertools import pairwise
from typing import Any

from pdsearch.space.catalog import NO_PRUNING
from pdsearch.space.document import dotted, mark_of
from pdsearch.space.draft import Draft, path_of
from pdsearch.space.reach import Reach
from pdsearch.space.without_validation import check_without_validation, is_validated
from pdsearch.space.words import METRICS

__all__ = ["check_whole"]

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
    """Run the checks that look at several fields; those of single fields have passed."""
    reach = Reach(draft.parameters, draft.fixed, draft.catalog)
    options = [name for name in draft.fixed if name.startswith(("teacher.options.", "student.options."))]
    for name in (*draft.parameters, *options):
        _check_effect(draft, reach, name)
    for name in REQUIRED:
        _check_value(draft, reach, name)
    methods = reach.values("prune.method")
    if set(methods) == {NO_PRUNING} and "prune.ratio" in draft.fixed:
        draft.complain("nothing is pruned, so a ratio has no effect", "prune.ratio", "choose a prune.method")
    for recipe in ("teacher", "recover", "distill"):
        _check_epochs(draft, recipe)
    _check_checkpoint(draft)
    _check_rewinding(draft)
    _check_metrics(draft)
    _check_stop(draft)
    _check_trials(draft)
    _check_accelerator(draft)
    check_without_validation(draft)


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
    if situation is None:
        return
    *section, field = path_of(name)
    place = ".".join(map(str, section))
    where = f" where {situation}" if situation else ""
    hint = f"add `{field}:` under {place}, or search {name} under space"
    if situation:
        hint = "widen its `when`"
    draft.complain(f"{name} is missing{where}", name, hint)


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
    """Refuse a warm-up before a one-cycle schedule, which has its own."""
    schedule, warmup = f"{prefix}.schedule", f"{prefix}.warmup_epochs"
    parameter = draft.parameters.get(warmup)
    apart = parameter is not None and "one_cycle" not in parameter.when.get(schedule, ("one_cycle",))
    if "one_cycle" in draft.possible(schedule) and max(draft.possible(warmup, 0)) > 0 and not apart:
        hint = f"remove it, or search it `when: {{{schedule}: [...]}}` without one_cycle"
        draft.complain("a one_cycle schedule warms up by itself", warmup, hint)


def _listed(value: Any) -> list[int]:
    import json

    return list(json.loads(value) if isinstance(value, str) else value)


def _check_checkpoint(draft: Draft) -> None:
    """Refuse what needs the initial weights of a teacher, where only its trained ones are known."""
    if "teacher.checkpoint" not in {*draft.fixed, *draft.parameters}:
        return
    hint = "choose another, or let the teacher be trained here"
    if "init" in draft.possible("prune.at"):
        draft.complain("a checkpoint is trained; there are no initial weights to prune", "prune.at", hint)
    if "rewind" in draft.possible("prune.recovery"):
        draft.complain("a checkpoint has no initial weights to rewind to", "prune.recovery", hint)
    if draft.file.confirm and draft.file.confirm.teacher_seeds > 1:
        what = "a checkpoint is one teacher; there is no seed to train another with"
        draft.complain(what, "confirm.teacher_seeds", "remove it, or let the teacher be trained here")


def _check_rewinding(draft: Draft) -> None:
    """Refuse an early epoch that nothing goes back to, or that the teacher's training does not reach."""
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


def _check_metrics(draft: Draft) -> None:
    metrics = [objective.metric for objective in draft.file.objectives or ()]
    for i, metric in enumerate(metrics):
        if metric in metrics[:i]:
            path = ("objectives", i, "metric")
            draft.problems.add(
                f"the objective {metric} stands twice",
                mark_of(draft.root, path),
                key=dotted(path),
                hint="keep one of them",
            )


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
    if trials is None and draft.parameters and is_validated(draft):
        draft.complain(
            "search.trials is missing", "search.trials", "say how many trials to run, e.g. `trials: 60`"
        )


def _check_accelerator(draft: Draft) -> None:
    resources = draft.file.resources
    if resources.accelerator is not None and not resources.gpu:
        hint = "set resources.gpu, or remove it"
        draft.complain("no GPU is asked for, so its kind has no effect", "resources.accelerator", hint)
