"""What can be asked for where no validation images are cut off? Nothing that chooses: all configurations, or one.

With `data.val_fraction: 0` every training image is trained on, as published recipes do. No trial can then be compared
with another before the test set is opened, so a space is a list: each of its configurations is confirmed.
"""

from pdsearch.space.catalog import FROM_TEACHER
from pdsearch.space.document import dotted, mark_of
from pdsearch.space.draft import Draft
from pdsearch.space.order import in_order
from pdsearch.space.points import MOST_CONFIGURATIONS, points_of
from pdsearch.space.words import METRICS

__all__ = ["check_without_validation", "configurations", "is_validated"]

CUT = "cut some off, e.g. `val_fraction: 0.1`"


def is_validated(draft: Draft) -> bool:
    """Say whether validation images are cut off."""
    return draft.file.data.val_fraction > 0


def configurations(draft: Draft) -> int | None:
    """Return how many configurations a space lists; None for one with a range, or with more than 1,000."""
    points = points_of(in_order(draft.parameters), limit=MOST_CONFIGURATIONS)
    return None if points is None else len(points)


def check_without_validation(draft: Draft) -> None:
    """Refuse whatever would choose by validation images, where there are none."""
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
            path = ("objectives", i, "metric")
            what = "there are no validation images to measure it on: data.val_fraction is 0"
            hint = f"leave objectives out, or {CUT}"
            draft.problems.add(what, mark_of(draft.root, path), key=dotted(path), hint=hint)
    _check_list(draft)


def _check_list(draft: Draft) -> None:
    """A space must be a list of configurations, all of which are confirmed, or hold one."""
    confirm, trials = draft.file.confirm, draft.file.search.trials
    count = configurations(draft)
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
