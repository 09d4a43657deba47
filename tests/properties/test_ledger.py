"""Whatever is asked, told, finished and killed, in any order: each trial ends once, and records and study agree."""

import os
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import optuna
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from optuna.trial import TrialState

from pdsearch.protocol import Event, Job, Outcome
from tests.search.killing import Killed, kill_at
from tests.search.scripted_trials import ledger, outcome, ready, reports, searching, space

STATES = {"complete": "COMPLETE", "stopped": "PRUNED", "infeasible": "PRUNED", "failed": "FAIL"}


class Driving(RuleBasedStateMachine):
    """A driver with up to three workers, which may be killed at any time and at any of its writes."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.patches = [patch.object(os, "fsync", lambda _: None)]
        for item in self.patches:
            item.start()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space = space(self.folder, search=searching(sampler="random"))
        self.open()

    def open(self) -> None:
        self.ledger = ledger(self.space)
        self.running: dict[str, tuple[Job, int]] = {}
        assert not [t for t in self.ledger.study.trials if t.state is TrialState.RUNNING]

    @precondition(lambda self: len(self.running) < 3)
    @rule()
    def ask(self) -> None:
        job = self.ledger.ask()
        if job is not None:
            assert job.key not in {other.key for other, _ in self.running.values()}
            assert job.key not in self.ended()
            self.running[job.id] = (job, 0)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def tell(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.running)))
        job, said = self.running[name]
        events: list[Event] = [ready(job), *reports(job)]
        if said < len(events):
            assert not self.ledger.tell(job, events[said])
            self.running[name] = (job, said + 1)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), state=st.sampled_from(sorted(STATES)))
    def finish(self, data: st.DataObject, state: str) -> None:
        job, said = self.running.pop(data.draw(st.sampled_from(sorted(self.running))))
        if state == "stopped" and said < 2:
            state = "failed"  # Only a report can stop a trial.
        self.ledger.finish(job, outcome(job) if state == "complete" else Outcome(state, "why"))

    @rule()
    def kill(self) -> None:
        waiting = {job.key for job, _ in self.running.values()}
        self.open()
        again = {t.user_attrs["retry_of"] for t in self.ledger.study.trials if t.state is TrialState.WAITING}
        keys = {self.ledger.study.trials[first].user_attrs.get("key") for first in again}
        assert waiting <= keys

    @rule(write=st.integers(1, 8), after=st.booleans(), data=st.data())
    def kill_within(self, write: int, after: bool, data: st.DataObject) -> None:
        with pytest.MonkeyPatch.context() as patched:
            kill_at(patched, write, after=after)
            try:
                if self.running:
                    self.finish(data, "complete")
                if len(self.running) < 3:
                    self.ask()
            except Killed:
                pass
        self.open()

    def ended(self) -> list[str]:
        return [record.key for record in self.ledger.records.finished.values()]

    @invariant()
    def each_key_ends_once(self) -> None:
        if hasattr(self, "ledger"):
            assert len(self.ended()) == len(set(self.ended()))

    @invariant()
    def records_and_study_agree(self) -> None:
        if not hasattr(self, "ledger"):
            return
        trials = self.ledger.study.trials
        for record in self.ledger.records.finished.values():
            trial = trials[record.number or 0]
            assert trial.state.name == STATES[record.state]
            if record.state == "complete":
                assert trial.value == record.values["student.val_accuracy"]
        told = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        assert {f"search-{t.number:05d}" for t in told} <= self.ledger.records.finished.keys()
        assert len([t for t in trials if t.state is TrialState.RUNNING]) == len(self.running)

    def teardown(self) -> None:
        for item in getattr(self, "patches", []):
            item.stop()
        shutil.rmtree(getattr(self, "folder", "/nonexistent"), ignore_errors=True)


TestDriving = Driving.TestCase
TestDriving.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
