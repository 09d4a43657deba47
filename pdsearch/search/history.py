"""What has become of a study's trials? Counts, and the trials a sampler learns from; each trial is looked at once.

Optuna answers such questions by walking over all trials, and a driver asks them several times a trial: at ten thousand
trials that would be most of its time. An ended trial never changes, so only those that ran at the last look are
looked at again.
"""

from bisect import bisect_left, insort
from operator import attrgetter
from typing import NamedTuple, TypeAlias

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from pdsearch.search.ended import Ended
from pdsearch.search.told import INTERRUPTED

__all__ = ["History", "Shown", "Window"]

Shown: TypeAlias = Ended | FrozenTrial
"""A trial that a sampler sees: one that ended, or one that runs."""

NEWEST, BEST, RUNNING = 500, 25, 100
"""Trials a sampler learns from. TPE's good ones are at most 25 of all that ended, so none of them is missed."""

_NUMBER = attrgetter("number")


class Window(NamedTuple):
    """What a sampler sees of a long study.

    Attributes:
        open: Trials that may be good ones, and the newest that run, by number.
        bad: Other trials that ended, by number; whatever number of good ones is asked for, none of these is one.
    """

    open: list[Shown]
    bad: list[Ended]


class History:
    """A study's trials so far; of those that count, `finished`, so many ran to their end: `whole`.

    Invariant: depends on the study's content alone, not on how often it was looked at.

    Args:
        study: Written by this process alone.
        newest: How many of the trials that ended last a sampler learns from.
    """

    def __init__(self, study: optuna.Study, *, newest: int = NEWEST) -> None:
        self._study, self._width = study, newest
        self._trials: list[FrozenTrial] = []
        self._open: set[int] = set()
        self._retries: list[int] = []
        self._newest: list[Ended] = []
        self._best: list[Ended] = []
        self._failed: set[int] = set()
        self._again: set[int] = set()
        self.finished = 0
        self.whole = 0

    def look(self) -> "History":
        """Take notice of what has happened since the last look."""
        before = len(self._trials)
        self._trials = self._study.get_trials(deepcopy=False)
        for number in range(before, len(self._trials)):
            self._open.add(number)
            if "retry_of" in self._trials[number].user_attrs:
                self._retries.append(number)
                self._again.add(self._trials[number].user_attrs["retry_of"])
        for number in [n for n in self._open if self._trials[n].state.is_finished()]:
            self._open.discard(number)
            self._ended(self._trials[number])
        return self

    @property
    def several(self) -> bool:
        """Whether there are several objectives."""
        return len(self._study.directions) > 1

    @property
    def failed(self) -> int:
        """Trials that failed for a reason of their own and were not tried again since."""
        return len(self._failed - self._again)

    @property
    def waiting(self) -> list[int]:
        """Numbers of the trials that will be asked again."""
        return [number for number in sorted(self._open) if self._trials[number].state is TrialState.WAITING]

    @property
    def owed(self) -> bool:
        """Whether a person wants a failed trial tried again that has not been yet; it may have been cut off since."""
        return any(self._first_try(number) in self._failed for number in self.waiting)

    @property
    def asked(self) -> int:
        """Points asked before the next one; a retry stands where its first try stood."""
        place = next(iter(self.waiting), len(self._trials))
        while place < len(self._trials) and "retry_of" in self._trials[place].user_attrs:
            place = self._trials[place].user_attrs["retry_of"]
        return place - bisect_left(self._retries, place)

    def window(self) -> Window:
        """Return the newest and the best trials that ended, and the newest that run."""
        running = [n for n in sorted(self._open) if self._trials[n].state is TrialState.RUNNING][-RUNNING:]
        # With so many good ones at most, and so many that broke no constraint, no other trial comes into question.
        settled = not self.several and len(self._best) == BEST
        ended = {trial.number: trial for trial in [*self._best, *([] if settled else self._newest)]}
        shown: list[Shown] = [*ended.values(), *(self._trials[number] for number in running)]
        bad = [trial for trial in self._newest if trial.number not in ended]
        return Window(sorted(shown, key=_NUMBER), bad)

    def _first_try(self, number: int) -> int:
        """Return the failed trial that one repeats, or where there is none the first that was cut off."""
        while number not in self._failed and "retry_of" in self._trials[number].user_attrs:
            number = self._trials[number].user_attrs["retry_of"]
        return number

    def _ended(self, trial: FrozenTrial) -> None:
        if trial.state is TrialState.FAIL:
            if trial.user_attrs.get("reason", INTERRUPTED) != INTERRUPTED:
                self._failed.add(trial.number)
            return
        self.finished += 1
        ended = Ended(trial)
        insort(self._newest, ended, key=_NUMBER)
        del self._newest[: -self._width]
        self.whole += trial.state is TrialState.COMPLETE
        if trial.state is TrialState.COMPLETE and not any(v > 0 for v in ended.constraints.values()):
            self._consider(ended)

    def _consider(self, trial: Ended) -> None:
        """Keep the best: of one objective so many, of several those that no other one surpasses."""
        directions = self._study.directions
        if self.several:
            if not any(_surpasses(other, trial, directions) for other in self._best):
                self._best = [t for t in self._best if not _surpasses(trial, t, directions)] + [trial]
            return
        self._best.append(trial)
        self._best.sort(key=lambda t: (_losses(t, directions), t.number))
        del self._best[BEST:]


def _surpasses(one: Ended, other: Ended, directions: list[StudyDirection]) -> bool:
    ours, theirs = _losses(one, directions), _losses(other, directions)
    return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))


def _losses(trial: Ended, directions: list[StudyDirection]) -> list[float]:
    signs = (-1 if direction is StudyDirection.MAXIMIZE else 1 for direction in directions)
    return [sign * value for sign, value in zip(signs, trial.values, strict=True)]
