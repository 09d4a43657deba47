"""Which trials does a study hold? Answered from an index: Optuna's journal storage walks over all of them each time.

A trial that has ended never changes, so only those that were open at the last look are looked at again.
"""

from collections.abc import Container, Iterable
from copy import deepcopy as deep_copy

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState

__all__ = ["IndexedStorage"]

_OPEN = {TrialState.RUNNING, TrialState.WAITING}


class IndexedStorage(JournalStorage):
    """A journal storage with one writer. Invariant: its answers are those of `JournalStorage`.

    Args:
        journal: Where the lines are kept.
    """

    def __init__(self, journal: BaseJournalBackend) -> None:
        self._seen: dict[int, list[FrozenTrial]] = {}
        self._open: dict[int, set[int]] = {}
        super().__init__(journal)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials of a study by number, all or those in some states."""
        with self._thread_lock:
            self._sync_with_backend()
            trials = self._indexed(study_id)
            chosen: Iterable[FrozenTrial] = trials
            if states is not None:
                ended = any(state in states for state in TrialState if state not in _OPEN)
                among = trials if ended else (trials[number] for number in sorted(self._open[study_id]))
                chosen = (trial for trial in among if trial.state in states)
            return deep_copy(list(chosen)) if deepcopy else list(chosen)

    def _indexed(self, study_id: int) -> list[FrozenTrial]:
        ids, replayed = self._replay_result._study_id_to_trial_ids.get(study_id), self._replay_result._trials
        if ids is None:
            raise KeyError(f"no study {study_id}")
        trials, still_open = self._seen.setdefault(study_id, []), self._open.setdefault(study_id, set())
        for number in range(len(trials), len(ids)):
            trials.append(replayed[ids[number]])
            still_open.add(number)
        for number in list(still_open):
            trials[number] = replayed[ids[number]]
            if trials[number].state.is_finished():
                still_open.discard(number)
        return trials
