"""The digits search by hand with Ray Tune: Optuna's TPE, early stopping by ASHA, two trials at a time.

python examples/compare/with_tune.py [--trials 24] [--seed 0]
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import ray
from by_hand import dense_teacher, judge, propose, trial
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch


def main(trials: int, seed: int) -> None:
    """Search, print the best configuration, and judge it."""
    with tempfile.TemporaryDirectory() as name:
        file = dense_teacher(Path(name))

        def trainable(config: dict[str, Any]) -> None:
            for value in trial(config, file):
                tune.report({"accuracy": value})

        here = {"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}}
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=here)
        aim = {"metric": "accuracy", "mode": "max"}
        results = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                num_samples=trials,
                search_alg=OptunaSearch(space=propose, seed=seed, **aim),
                scheduler=ASHAScheduler(max_t=18, grace_period=6, reduction_factor=2, **aim),
            ),
            run_config=tune.RunConfig(storage_path=name, verbose=0),
        ).fit()
        full = [r for r in results if r.metrics and r.metrics["training_iteration"] == 18]
        best = max(full, key=lambda result: result.metrics["accuracy"])
        told = {"trials": len(results), "best": best.metrics["accuracy"], "config": best.config}
        print(json.dumps(told), flush=True)
        ray.shutdown()
        judge(best.config, file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
