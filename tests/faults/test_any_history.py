"""Whatever happens to a study, in whatever order: what finished stays, nothing is repeated, the end is reached."""

import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pdsearch.artifacts import Store
from pdsearch.observer import Observer
from pdsearch.protocol import Event, Job, Outcome
from pdsearch.search import study as opening
from pdsearch.search.study import Study
from pdsearch.search.verify import check_invariants
from tests.faults import scripted_study

CRASHES = 300


class History(RuleBasedStateMachine):
    """A driver, its workers, and everything that can happen to them. Invariant: `finished` never changes on disk."""

    crashes = 0
    after_work = 0

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")
        self.root = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.where = scripted_study.space(self.root, trials=5, max_failures=1000)
        self.finished: dict[str, bytes] = {}
        self.dropped: list[AbstractContextManager[Study]] = []
        self.study: Study | None = None
        self.running: dict[str, tuple[Job, Generator[Event, None, None]]] = {}

    @rule()
    @precondition(lambda self: self.study is None)
    def resume(self) -> None:
        driver = opening.open_as_driver(self.where, Observer())
        self.study = driver.__enter__()
        self.worker = scripted_study.Worker(self.study)
        self.dropped.append(driver)  # Never left: a process that died does not clean up.
        self._compare()

    @rule()
    @precondition(lambda self: self.study is not None and len(self.running) < 3)
    def ask(self) -> None:
        assert self.study is not None
        job = self.study.scheduler.next()
        if job is not None:
            assert f"{job.id}.finished.json" not in self.finished
            self.running[job.id] = (job, self.worker.run(job))

    @rule(data=st.data(), events=st.integers(1, 6))
    @precondition(lambda self: bool(self.running))
    def report(self, data: st.DataObject, events: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.running)))
        for _ in range(events):
            if name in self.running:
                self._step(name)

    @rule(jobs=st.integers(1, 5))
    @precondition(lambda self: self.study is not None and not self.running)
    def work(self, jobs: int) -> None:
        """Ask and run to the end, so that histories get somewhere."""
        for _ in range(jobs):
            self.ask()
            for name in list(self.running):
                while name in self.running:
                    self._step(name)

    @rule(data=st.data())
    @precondition(lambda self: bool(self.running))
    def fail(self, data: st.DataObject) -> None:
        self._finish(data.draw(st.sampled_from(sorted(self.running))), Outcome("failed", "it broke"))

    @rule()
    @precondition(lambda self: self.study is not None)
    def crash(self) -> None:
        self._crash()

    @rule(cut=st.integers(0, 3000))
    @precondition(lambda self: self.study is not None)
    def crash_and_tear(self, cut: int) -> None:
        self._crash()
        journal = self.root / "study" / "journal.log"
        content = journal.read_bytes()
        journal.write_bytes(content[: max(0, len(content) - cut)])

    @rule(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    @precondition(lambda self: self.study is None)
    def corrupt_journal(self, at: float, bit: int) -> None:
        _flip(self.root / "study" / "journal.log", at, bit)

    @rule(which=st.integers(0, 1000), at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    def corrupt_artifact(self, which: int, at: float, bit: int) -> None:
        payload = sorted((self.root / "artifacts").rglob("weights.bin"))
        if payload:
            path = payload[which % len(payload)]
            path.chmod(0o644)
            _flip(path, at, bit)

    @rule(which=st.integers(0, 1000))
    def collect(self, which: int) -> None:
        store = Store(self.root / "artifacts")
        entries = list(store.entries())
        if entries:
            store.remove(*entries[which % len(entries)])

    def teardown(self) -> None:
        try:
            if self.study is None:
                self.resume()
            while not self._idle():
                self.ask()
                for name in list(self.running):
                    self._step(name)
            self._crash()
            self.resume()
            self._crash()
            broken = check_invariants(self.root / "study", deep=True)
            # What was corrupted and not used again since is found and made again when it is.
            assert [item for item in broken if item.rule != "artifacts"] == []
        finally:
            for driver in self.dropped:
                driver.__exit__(None, None, None)
            shutil.rmtree(self.root, ignore_errors=True)

    def _idle(self) -> bool:
        assert self.study is not None
        return self.study.scheduler.done

    def _step(self, name: str) -> None:
        job, events = self.running[name]
        event = next(events)
        if isinstance(event, Outcome):
            self._finish(name, event)
        elif self.study is not None and self.study.scheduler.tell(job, event):
            self._finish(name, Outcome("stopped"))

    def _finish(self, name: str, outcome: Outcome) -> None:
        assert self.study is not None
        job, events = self.running.pop(name)
        events.close()
        self.study.scheduler.finish(job, outcome)
        self._compare()

    def _crash(self) -> None:
        type(self).crashes += 1
        type(self).after_work += len(self.finished) >= 3
        for _, events in self.running.values():
            events.close()
        self.running, self.study = {}, None

    def _compare(self) -> None:
        """What was finished is still there, byte for byte; a listed job that failed made room for another try."""
        now = scripted_study.records(self.root)
        for name, content in self.finished.items():
            if name in now:
                assert now[name] == content
            else:
                assert b'"state":"failed"' in content
                tries = (self.root / "study" / "trials").glob(name.replace(".finished.", ".failed-*."))
                assert content in [path.read_bytes() for path in tries]
        self.finished = now


def _flip(path: Path, at: float, bit: int) -> None:
    content = bytearray(path.read_bytes() if path.exists() else b"")
    if content:
        content[int(at * len(content))] ^= 1 << bit
        path.write_bytes(bytes(content))


class Unguarded:
    """No lease: the dead and the living drivers of this test are one process."""

    held = True


@contextmanager
def _unguarded(*_: Any, **__: Any) -> Iterator[Unguarded]:
    yield Unguarded()


@pytest.mark.slow
def test_any_history_keeps_what_finished_and_reaches_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted_study.begin_quickly(monkeypatch)
    monkeypatch.setattr(opening, "hold", _unguarded)
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    wanted = settings(
        max_examples=100,
        phases=[Phase.generate],
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=slow,
        derandomize=True,
    )
    run_state_machine_as_test(History, settings=wanted)
    print(f"{History.crashes} crashes, {History.after_work} of them after three trials or more had finished")
    assert History.crashes >= CRASHES
    assert History.after_work >= CRASHES / 2
