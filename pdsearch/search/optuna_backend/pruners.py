"""Early stopping by successive halving, which ignores trials that failed or were interrupted.

The rule is that of Optuna's `SuccessiveHalvingPruner`, but for three things. It compares the metric that `search.stop`
names, in that metric's own direction; Optuna's takes the study's direction, which stops the best trials where a size is
minimised, and compares nothing where there are several objectives. It decides in these cases too. And trials that
failed are left out: an interrupted trial is asked again and replays its reports, so it would compete with itself.
"""

from collections import defaultdict
from collections.abc import Iterable

from pdsearch.config import Halving
from pdsearch.objectives import Objective, better_goal, counts_as_trial, weighed
from pdsearch.records.trial_record import TrialRecord


def goes_on(value: float, others: Iterable[float], *, factor: int, goal: str) -> bool:
    """Return whether a trial passes a rung: it is in the best 1 / factor of those that reached it, ties included.

    While fewer than `factor` trials have reached it, only the best so far passes.

    Args:
        value: The trial's; NaN does not pass.
        others: Of the other trials that reached the rung.
        factor: 2 or more.
        goal: "maximize" or "minimize".
    """
    ranked = sorted((weighed(one, goal) for one in (value, *others) if one == one), reverse=True)
    return value == value and weighed(value, goal) >= ranked[max(0, len(ranked) // factor - 1)]


def rungs(halving: Halving | None, epochs: int) -> tuple[int, ...]:
    """Return the epochs at which the rule decides, before the last one."""
    steps = []
    step = halving.min_epochs if halving else epochs
    while halving and step < epochs:
        steps.append(step)
        step *= halving.factor
    return tuple(steps)


class Stopper:
    """The values of a study's search trials at its rungs. Invariant: only those of trials that run or count.

    Args:
        halving: The rule; None stops nothing.
        objectives: Of the study: where one of them is the metric that decides, its goal applies.
        records: Of search trials that finished before.
    """

    def __init__(
        self, halving: Halving | None, objectives: Iterable[Objective], records: Iterable[TrialRecord]
    ) -> None:
        self._halving = halving
        self._goal = better_goal(halving.metric) if halving else "maximize"
        for objective in objectives:
            if halving and objective.metric == halving.metric:
                self._goal = objective.goal
        self._reached: dict[int, dict[str, float]] = defaultdict(dict)
        for record in records:
            self._enter(record)

    def stops(self, trial: str, epoch: int, value: float) -> bool:
        """Record the value of a trial at a rung, and return whether the trial is to be stopped there.

        Args:
            trial: Its id.
            epoch: One of `rungs`.
            value: Of the metric that decides.
        """
        if self._halving is None:
            return False
        others = [one for name, one in self._reached[epoch].items() if name != trial]
        self._reached[epoch][trial] = value
        return not goes_on(value, others, factor=self._halving.factor, goal=self._goal)

    def leave(self, trial: str) -> None:
        """Remove the values of a trial that failed."""
        for reached in self._reached.values():
            reached.pop(trial, None)

    def _enter(self, record: TrialRecord) -> None:
        if not counts_as_trial(record.state):
            return
        values = {report.epoch: report.val_accuracy for report in record.reports}
        for rung in rungs(self._halving, record.spec.distill.recipe.epochs):
            value = values.get(rung)
            if value is not None:
                self._reached[rung][record.id] = value
