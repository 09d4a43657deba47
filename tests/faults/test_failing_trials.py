"""Whatever a trial does, it fails alone, with a reason; only what trying again can mend is tried again."""

import importlib
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from pdsearch.errors import StorageError, StorageFullError
from pdsearch.observer import Observer
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.trial import run_job
from pdsearch.protocol import Outcome, refusal, refused_by
from pdsearch.search.study import open_as_driver
from tests.faults import scripted_study
from tests.on_disk import on_disk
from tests.pipeline.digits import ALONE, SPEC, job, run, site
from tests.some import some


@pytest.fixture
def here(tmp_path: Path) -> WorkerContext:
    return replace(site(tmp_path), logs=tmp_path / "trials")


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def broken(*_: Any, **__: Any) -> NoReturn:
        raise error

    return broken


@pytest.mark.parametrize("error", [SystemExit(3), MemoryError(), ZeroDivisionError("by zero")])
def test_a_method_that_breaks_fails_its_trial_and_leaves_a_traceback(
    here: WorkerContext, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr("pdsearch.pipeline.trial.distilled_student", raising(error))
    _, outcome = run(ALONE, here)
    assert outcome.state == "failed"
    assert "(traceback in trials/" in str(outcome.reason)
    (log,) = on_disk(here.logs or Path()).iterdir()
    assert "in broken" in log.read_text()


def test_ctrl_c_is_no_failure_of_the_trial(here: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdsearch.pipeline.trial.distilled_student", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run(ALONE, here)


def test_a_full_gpu_is_tried_in_halves_and_quarters(
    here: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[int] = []

    def crowded(*_: Any, **__: Any) -> NoReturn:
        parts.append(here.engine("fp32").parts)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("pdsearch.pipeline.trial.distilled_student", crowded)
    _, outcome = run(ALONE, here)
    assert parts == [1, 2, 4]
    assert outcome.state == "failed"
    assert str(outcome.reason).startswith("out of GPU memory")
    assert here.parts == 1


@pytest.mark.parametrize("graphs", [True, False])
def test_a_full_gpu_is_first_tried_without_captured_steps(
    here: WorkerContext, graphs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[bool, int]] = []

    def crowded(*_: Any) -> NoReturn:
        engine = here.engine("bf16")
        tried.append((engine.graphs, engine.parts))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("pdsearch.pipeline.trial._perform", crowded)
    here.device, here.graphs = "cuda", graphs
    _, outcome = run(ALONE, here)
    assert outcome.state == "failed"
    assert tried == [(True, 1)] * graphs + [(False, 1), (False, 2), (False, 4)]
    assert (here.graphs, here.parts) == (graphs, 1)


def test_a_trial_that_fits_in_parts_says_so_and_counts_once(
    here: WorkerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pdsearch.pipeline.distill import distilled_student

    _, plain = run(SPEC, site(tmp_path / "plain"))

    def crowded(*args: Any, **named: Any) -> Any:
        training = distilled_student(*args, **named)
        if here.parts > 1:
            return (yield from training)
        yield next(training)
        training.close()
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("pdsearch.pipeline.trial.distilled_student", crowded)
    _, outcome = run(SPEC, here)
    assert outcome.state == "complete"
    assert "each batch in 2 parts" in str(outcome.reason)
    assert outcome.epochs == plain.epochs == {"teacher": 2, "prune": 4, "distill": 2}
    uses = [{(use.stage, use.key, use.hit) for use in found.artifacts} for found in (outcome, plain)]
    assert uses[0] == uses[1]


def _hang(where: Path) -> None:
    trial = importlib.import_module("pdsearch.pipeline.trial")
    trial.distilled_student = lambda *_: time.sleep(60)  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    list(run_job(job(ALONE), replace(site(where), logs=where / "trials", patience_s=1.0)))
    sys.exit(0)


def test_a_trial_that_hung_fails_when_it_is_run_again(here: WorkerContext, tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_hang, args=(tmp_path,))
    process.start()
    process.join(120)
    # The stacks are walked without the interpreter's lock, and that may end the process by itself (watchdog.py).
    assert process.exitcode in (1, -signal.SIGSEGV)
    _, outcome = run(ALONE, here)
    assert outcome.state == "failed"
    assert str(outcome.reason).startswith("hung: no sign of life")
    (log,) = on_disk(here.logs or Path()).glob("*.log")
    assert "Timeout" in log.read_text()


@pytest.mark.parametrize(
    "error",
    [
        StorageError("gone"),
        StorageFullError("full"),
        StorageError("away", where="s3://b", hint="check the network, then run the same command again"),
    ],
)
def test_a_refusal_travels_as_an_outcome_and_says_once_what_to_do(error: StorageError) -> None:
    back = refused_by(Outcome(refusal(error), str(error)))
    assert type(back) is type(error)
    assert str(back).count("run the same command again") == str(back).count("->") == 1
    assert error.hint is None or str(back) == str(error)
    assert refused_by(Outcome("failed", "another")) is None


def test_a_storage_that_refuses_stops_the_run_and_no_trial_fails(root: Path) -> None:
    where = scripted_study.space(root)
    with open_as_driver(where, Observer()) as study:
        scheduler = study.scheduler
        one = some(scripted_study.drive(study, scripted_study.Worker(study), until="search"))
        scheduler.finish(one, Outcome("full", "no space is left"))
        assert scheduler.next() is None
        assert scheduler.done
        assert isinstance(scheduler.failure, StorageFullError)
    assert not any(name.startswith("search") for name in scripted_study.records(root))
    scripted_study.run(where)
    assert sum(record["params"] != {} for record in scripted_study.read(root).values()) >= 4
