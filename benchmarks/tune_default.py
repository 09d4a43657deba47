"""A trial as Tune's own examples run it: a function, fresh actors, Tune's loggers."""

import json
import sys
import tempfile
import time

import ray
from ray import tune

__all__ = ["main"]


def main(trials: int, reports: int) -> None:
    """Run trivial trials, two at a time; print the milliseconds of one as JSON."""

    def trainable(config: dict[str, float]) -> None:
        for epoch in range(reports):
            tune.report({"accuracy": config["x"] * epoch})

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=2),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        start = time.perf_counter()
        tuner.fit()
        seconds = time.perf_counter() - start
    ray.shutdown()
    print(json.dumps({"ms": seconds / trials * 1000}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
