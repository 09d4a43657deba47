"""Ledger of sampled trials (tried, running, next): one Optuna study that only the driver writes, and nothing else.

*finished* records are written before the Optuna study is updated, so that a crash between the two is repaired from the
record when the study is opened again.
"""

from collections.abc import Mapping

import optuna
from optuna.trial import FrozenTrial, TrialState

from pdsearch.config import Space
from pdsearch.config.resolve import points_of
from pdsearch.errors import PdsearchError
from pdsearch.objectives import counts_as_trial
from pdsearch.pipeline.keys import student_key
from pdsearch.protocol import Event, Job, Outcome, Report, measures
from pdsearch.records.trial_record import TrialRecord
from pdsearch.search.optuna_backend.convert import INTERRUPTED, as_trial, reported, suggest
from pdsearch.search.optuna_backend.pruners import Stopper, rungs
from pdsearch.search.optuna_backend.sampler import made
from pdsearch.search.records import Live, Records
from pdsearch.search.resolved import Description
from pdsearch.specs import derive_seed
from pdsearch.user_code import called

COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)
_DUPLICATES = 50
_ENUMERABLE = 1000


class Ledger:
    """Ask, tell, finish over one Optuna study; safe to reopen after any interruption.

    Args:
        study: The Optuna study, already loaded or created.
        space: What is searched.
        records: The records beside it.
        kind: "search" or "baseline"; the prefix of its ids.
        describe: Maps specifications to keys and configurations.
        single: The space has one configuration, so that nothing is selected and its trial may use the test set.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        records: Records,
        *,
        kind: str,
        describe: Description,
        single: bool,
    ) -> None:
        self.study, self.space, self.records = study, space, records
        self.kind, self.describe, self.single = kind, describe, single
        self.live: dict[str, Live] = {}
        self._trials: dict[str, optuna.Trial] = {}
        own = [record for record in records.finished.values() if record.kind == kind]
        self.stopper = Stopper(space.search.stop, space.objectives, own)
        self._mend()

    @property
    def _metrics(self) -> list[str]:
        return [objective.metric for objective in self.space.objectives]

    @property
    def finished(self) -> int:
        """Trials that count: complete, stopped early, or infeasible."""
        return sum(trial.state in COUNTED for trial in self._tried)

    @property
    def failed(self) -> int:
        """Trials that failed themselves and were not retried since; interrupted ones do not count."""
        return len(self._failed())

    @property
    def waiting(self) -> int:
        """Trials that will be asked again: interrupted ones, and failed ones that are to be retried."""
        return sum(trial.state is TrialState.WAITING for trial in self._tried)

    @property
    def owed(self) -> bool:
        """Whether a failed trial waits for its retry, however many have finished."""
        failed, trials = self._failed(retried=True), self._tried
        return any(_first_try(t, trials, failed) in failed for t in trials if t.state is TrialState.WAITING)

    @property
    def exhausted(self) -> bool:
        """Whether every point of the space was tried, and none waits to be asked again."""
        return bool(self.study.user_attrs.get("exhausted")) and not self.waiting

    def ask(self) -> Job | None:
        """Write the asked record of the next job and return the job; None when the space has no new point.

        Raises:
            PdsearchError: The sampler fails.
        """
        for _ in range(_DUPLICATES):
            # What its storage raises has messages of its own.
            with called(self.space.search.sampler, "search.sampler", PdsearchError, only_own=True):
                trial = self._next_trial()
                params = suggest(trial, self.space.parameters)
            job = self._job(trial.number, params)
            twin = self._twin(job)
            again = "retry_of" in trial.user_attrs and self.records.failed_only(job)
            if twin is None or again:
                trial.set_user_attr("key", job.key)
                self.records.ask(job)
                self.live[job.id], self._trials[job.id] = Live(job), trial
                return job
            trial.set_user_attr("duplicate_of", twin)
            self.study.tell(trial, state=TrialState.FAIL)
            point = self._unseen()
            if point is not None:
                self.study.enqueue_trial(point)
        self.study.set_user_attr("exhausted", True)
        return None

    def tell(self, job: Job, event: Event) -> bool:
        """Record an event; return True when the trial is to be stopped early."""
        heard_first = self.live[job.id].note(event)
        if not heard_first or not isinstance(event, Report):
            return False
        if event.val_accuracy is None:  # No validation images: nothing is compared.
            return False
        if reported(self._metrics):
            self._trials[job.id].report(event.val_accuracy, step=event.epoch)
        return event.epoch in job.decide_at and self.stopper.stops(job.id, event.epoch, event.val_accuracy)

    def finish(self, job: Job, outcome: Outcome) -> TrialRecord:
        """Write the finished record, then update the Optuna study; return the record."""
        live, trial = self.live.pop(job.id), self._trials.pop(job.id)
        record = self.records.finish(live, live.settled(outcome), self.describe)
        if not counts_as_trial(record.state):
            self.stopper.leave(job.id)
        self._settle(trial.number, record)
        return record

    def _next_trial(self) -> optuna.Trial:
        search = self.space.search
        # With the kind, so that baselines do not repeat the search's points.
        seed = derive_seed(search.seed, "sampler", self.kind, self._asked()) % 2**32
        self.study.sampler = made(search.sampler, self.study, seed=seed)
        return self.study.ask()

    @property
    def _tried(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _failed(self, *, retried: bool = False) -> set[int]:
        """Return the numbers of the trials that failed themselves; with `retried` also of those retried since."""
        trials = self._tried
        again = {trial.user_attrs["retry_of"] for trial in trials if "retry_of" in trial.user_attrs}
        ended = ((trial, trial.user_attrs.get("reason", INTERRUPTED)) for trial in trials)
        failed = {t.number for t, why in ended if t.state is TrialState.FAIL and why != INTERRUPTED}
        return failed if retried else failed - again

    def _asked(self) -> int:
        """Return how many points were asked before the next one; a retry counts as its first try."""
        trials = self._tried
        place = next((t.number for t in trials if t.state is TrialState.WAITING), len(trials))
        while place < len(trials) and "retry_of" in trials[place].user_attrs:
            place = trials[place].user_attrs["retry_of"]
        return place - sum("retry_of" in trial.user_attrs for trial in trials[:place])

    def _job(self, number: int, params: Mapping[str, object]) -> Job:
        spec = self.describe.complete(self.space.resolve(params))
        halving = self.space.search.stop if self.kind == "search" else None
        return Job(
            id=f"{self.kind}-{number:05d}",
            kind=self.kind,
            spec=spec,
            key=student_key(spec),
            number=number,
            params=params,
            limits=self.space.constraints,
            measures=measures(self.space.aims),
            decide_at=rungs(halving, spec.distill.recipe.epochs),
            test=self.single,
        )

    def _twin(self, job: Job) -> str | None:
        running = (live.job for live in self.live.values())
        twins = (other.id for other in running if other.key == job.key)
        return next(twins, None) or self.records.twin(job)

    def _unseen(self) -> dict[str, object] | None:
        """Return a point of a finite space that was never tried, if there is one."""
        points = points_of(self.space.parameters, limit=_ENUMERABLE)
        if points is None:
            return None
        fresh = [point for point in points if self._twin(self._job(0, point)) is None]
        asked = len(self._tried)
        return {**fresh[derive_seed(self.space.search.seed, "unseen", asked) % len(fresh)]} if fresh else None

    def _settle(self, number: int, record: TrialRecord) -> None:
        """Write a finished record to the Optuna study, without what it already has."""
        storage, expected = self.study._storage, as_trial(record, self.space)
        stored = self._tried[number]
        for epoch, value in expected.intermediate_values.items():
            if epoch not in stored.intermediate_values:
                storage.set_trial_intermediate_value(stored._trial_id, epoch, value)
        for name, excess in expected.system_attrs.items():
            if name not in stored.system_attrs:
                storage.set_trial_system_attr(stored._trial_id, name, excess)
        if expected.state is TrialState.FAIL:
            storage.set_trial_user_attr(stored._trial_id, "reason", expected.user_attrs["reason"])
        values = expected.values if expected.state is TrialState.COMPLETE else None
        self.study.tell(number, values, state=expected.state, skip_if_finished=True)

    def _mend(self) -> None:
        """End what a crash left running, by its record or as interrupted, and enqueue what is asked again."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            record = self.records.finished.get(f"{self.kind}-{trial.number:05d}")
            if record is not None:
                self._settle(trial.number, record)
            else:
                self.study._storage.set_trial_user_attr(trial._trial_id, "reason", INTERRUPTED)
                self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        for trial in self._unretried():
            # One that was interrupted while it was being asked is sampled again, with the same result.
            asked = self.records.asked.get(f"{self.kind}-{trial.number:05d}")
            sampled = dict(asked.params) if asked else trial.params if "key" in trial.user_attrs else {}
            params = {**trial.system_attrs.get("fixed_params", {}), **sampled}
            self.study.enqueue_trial(params, user_attrs={"retry_of": trial.number})

    def _unretried(self) -> list[FrozenTrial]:
        """Return the trials that were interrupted, or failed and are to be retried, unless they were retried since."""
        trials = self._tried
        retried = {t.user_attrs["retry_of"] for t in trials if "retry_of" in t.user_attrs}
        return [t for t in trials if t.number not in retried and self._is_unretried(t)]

    def _is_unretried(self, trial: FrozenTrial) -> bool:
        wanted = trial.state is TrialState.FAIL and f"{self.kind}-{trial.number:05d}" in self.records.retries
        return wanted or trial.user_attrs.get("reason") == INTERRUPTED


def _first_try(trial: FrozenTrial, trials: list[FrozenTrial], failed: set[int]) -> int:
    """Return the number of the failed trial that one retries, or where there is none of the first interrupted one."""
    while trial.number not in failed and "retry_of" in trial.user_attrs:
        trial = trials[trial.user_attrs["retry_of"]]
    return trial.number
