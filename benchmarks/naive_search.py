"""The naive search that others are compared with: each trial does all its work, run by Tune or Optuna alone."""

import multiprocessing
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pdsearch.config import Space, load
from pdsearch.specs import TrialSpec, spec_from_json

__all__ = ["drawn", "optuna_alone", "searched", "tune_naively"]

SPACE = Path(__file__).parents[1] / "search_spaces" / "digits.yaml"


def searched(folder: Path, trials: int, seed: int) -> Space:
    """Return the digits space without its confirmation, its results in a folder, searched with a seed."""
    changes = (f"storage={folder / 'runs'}", f"search.trials={trials}", f"search.seed={seed}")
    return replace(load(SPACE, overrides=changes), confirm=None)


def tune_naively(space: Space, folder: Path, trials: int, *, usual: bool) -> dict[str, float]:
    """Search with Tune at its defaults; a trial is a function of random parameters.

    Args:
        space: What is searched.
        folder: For what Tune and the trials write.
        trials: How many.
        usual: Train as most repositories do; else with our own loops, each trial with a store of its own.
    """
    import ray
    from ray import tune

    source = random.Random(space.search.seed)
    points = [{"name": f"{n}", "params": drawn(space, source)} for n in range(trials)]

    def trainable(config: dict[str, Any]) -> None:
        spec = spec_from_json(config["point"]["params"])
        own = folder / "trials" / config["point"]["name"]
        for epoch, accuracy in enumerate(_usual(spec) if usual else _with_our_loop(spec, own), 1):
            tune.report({"accuracy": accuracy, "epoch": epoch})

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    start = time.perf_counter()
    results = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"point": tune.grid_search(points)},
        run_config=tune.RunConfig(storage_path=str(folder / "tune"), verbose=0),
    ).fit()
    seconds = time.perf_counter() - start
    best = results.get_best_result("accuracy", "max").metrics
    ray.shutdown()
    return {"seconds": seconds, "best": (best or {})["accuracy"], "trials": trials}


def optuna_alone(space: Space, folder: Path, trials: int) -> dict[str, float]:
    """Search with Optuna's TPE in two processes that share a journal, as its manual has it."""
    start = time.perf_counter()
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_optimise, args=(space, folder, trials, number)) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.exitcode != 0:
            raise RuntimeError(f"a worker ended with {worker.exitcode}")
    seconds = time.perf_counter() - start
    study = _study(folder)
    return {"seconds": seconds, "best": study.best_value, "trials": len(study.trials)}


def _study(folder: Path, seed: int = 0) -> Any:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(folder / "journal")))
    sampler = optuna.samplers.TPESampler(seed=seed)
    return optuna.create_study(
        study_name="digits", direction="maximize", load_if_exists=True, storage=storage, sampler=sampler
    )


def _optimise(space: Space, folder: Path, trials: int, number: int) -> None:
    from optuna.study import MaxTrialsCallback

    from pdsearch.search.optuna_backend.distributions import suggest

    def objective(trial: Any) -> float:
        accuracy = 0.0
        for epoch, accuracy in enumerate(_usual(space.resolve(suggest(trial, space.parameters)))):
            trial.report(accuracy, epoch)
        return accuracy

    # Two samplers with one seed would propose the same points.
    _study(folder, 2 * space.search.seed + number).optimize(
        objective, callbacks=[MaxTrialsCallback(trials, states=None)]
    )


def _usual(spec: TrialSpec) -> Iterator[float]:
    import torch

    from benchmarks.usual_trial import usual_trial

    torch.set_num_threads(1)
    return usual_trial(spec)


def _with_our_loop(spec: TrialSpec, folder: Path) -> Iterator[float]:
    import torch

    from pdsearch.artifacts import Store
    from pdsearch.pipeline.context import WorkerContext
    from pdsearch.pipeline.trial import run_trial
    from pdsearch.protocol import Report

    torch.set_num_threads(1)
    site = WorkerContext(Store(folder / "artifacts"), folder / "progress", outputs_limit_bytes=0)
    for event in run_trial(spec, site):
        if isinstance(event, Report):
            assert event.val_accuracy is not None
            yield event.val_accuracy


def drawn(space: Space, source: random.Random) -> Any:
    """Return a point of the space as a specification, drawn at random, as JSON."""
    from pdsearch.data import prepare
    from pdsearch.data.registry import sources
    from pdsearch.pipeline.rehearsal import rehearsing
    from pdsearch.search.preflight.precision import choose_precision
    from pdsearch.search.resolved import Description
    from pdsearch.specs import spec_to_json

    values: dict[str, Any] = {}
    for parameter in space.parameters:
        if parameter.active(values):
            low, high = parameter.low or 0.0, parameter.high or 0.0
            chosen = source.choice(parameter.choices) if parameter.choices else source.uniform(low, high)
            values[parameter.name] = chosen
    spec = space.resolve(values)
    source_of = sources.get(spec.data.source)
    with rehearsing(prepare(source_of.read(spec.data), spec.data)) as rehearsal:
        precision = choose_precision(space, rehearsal).name
    describe = Description(source_of.fingerprint(spec.data), precision)
    return spec_to_json(describe.complete(spec))
