"""Plans and ledgers, for any space and any history."""

import dataclasses
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import optuna
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from optuna.trial import TrialState

from pdsearch.config import parse
from pdsearch.config.checks.feasibility import corners
from pdsearch.distillation.registry import losses
from pdsearch.protocol import Event, Job, Outcome
from pdsearch.pruning.registry import methods
from pdsearch.search.planning.simulate import plan
from tests.search.killing import Killed, kill_at
from tests.search.scripted_trials import ledger, outcome, ready, reports, searching, space

RECIPE = {"epochs": 4, "lr": 0.1}
RATIOS: list[dict[str, Any]] = [
    {"choices": [0.36, 0.5]},
    {"low": 0.2, "high": 0.8, "step": 0.2},
    {"low": 0.1, "high": 0.7},
]


def form(source: random.Random, f: "dataclasses.Field[Any]") -> dict[str, Any]:
    """Some of a parameter's choices, or a part of its range."""
    about = f.metadata
    if about["choices"] is not None:
        return {"choices": source.sample(about["choices"], source.randint(1, len(about["choices"])))}
    low, high = about["low"], about["high"]
    if isinstance(f.default, int):
        return {"low": low, "high": high, "step": high - low}
    if source.random() < 0.5:
        return {"low": low, "high": high, "log": low > 0}
    # Steps such as 0.1 are not round in binary.
    step = source.choice([0.01, 0.1, 0.3])
    return {"low": low, "high": round(low + step * int(min(3, (high - low) / step)), 6), "step": step}


def parameters(
    source: random.Random, section: str, decider: str, parts: dict[str, type[Any]]
) -> dict[str, Any]:
    """Half of the parameters of some parts, each where a part has it; what two share stays as it is."""
    fields: dict[str, list[tuple[str, Any]]] = {}
    for part, params in parts.items():
        for f in dataclasses.fields(params):
            fields.setdefault(f.name, []).append((part, f))
    return {
        f"{section}.{name}": form(source, owners[0][1]) | {"when": {decider: [owners[0][0]]}}
        for name, owners in fields.items()
        if len(owners) == 1 and source.random() < 0.5
    }


def document(source: random.Random) -> dict[str, Any]:
    """A space that is right by how it is made."""
    at = source.choice(["trained", "init"])
    fit = [n for n in methods if at in methods.get(n).at and methods.get(n).ratio is None]
    chosen, taught = (
        source.sample(fit, source.randint(1, 3)),
        source.sample(sorted(losses), source.randint(1, 3)),
    )
    prune = {"at": at, "schedule": source.choice(["geometric", "linear", "one_shot"]), "rounds": 2}
    if prune["schedule"] != "linear":
        del prune["rounds"]
    searched: dict[str, Any] = {"prune.method": ["none", *chosen], "distill.loss": taught}
    searched["prune.ratio"] = source.choice(RATIOS) | {"when": {"prune.method": chosen}}
    searched |= parameters(source, "prune.params", "prune.method", {n: methods.get(n).params for n in chosen})
    searched |= parameters(source, "distill", "distill.loss", {n: losses.get(n).params for n in taught})
    recipes = {"teacher": RECIPE, "distill": RECIPE} | ({"recover": RECIPE} if at == "trained" else {})
    return {
        "data": {"source": "digits"},
        "teacher": {"model": "convnet_m"},
        "student": {"model": source.choice(["convnet_s", "from_teacher"])},
        "train": recipes,
        "prune": prune,
        "space": searched,
        "search": {"trials": source.randint(1, 30)},
        "confirm": {"teachers": 2, "seeds": 2, "teacher_seeds": source.randint(1, 3)},
    }


@pytest.mark.parametrize("seed", range(30))
def test_what_is_accepted_can_be_planned_and_is_read_back_as_it_was(seed: int) -> None:
    space = parse(document(random.Random(seed)))
    planned = plan(space)
    # Dense teachers are built first, whether or not a trial turns out to need them.
    before = sum(phase.with_reuse for phase in planned.phases if phase.name == "groundwork")
    assert 0 < planned.with_reuse <= planned.without_reuse + before
    assert sum(1 for _ in corners(space, lambda parameter: parameter.kind == "categorical")) > 0
    assert parse(space.to_json()) == space


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
TestDriving.settings = settings(max_examples=25, stateful_step_count=20)
