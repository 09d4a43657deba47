"""The digits search with pdsearch: `search_spaces/digits.yaml`, judged as the two searches by hand are.

python examples/compare/with_pdsearch.py [--trials 24] [--seed 0]
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pdsearch

SPACE = Path(__file__).parents[2] / "search_spaces" / "digits.yaml"
SEEDS = range(100, 105)


def main(trials: int, seed: int) -> None:
    """Search, print the best configuration, and judge it."""
    with tempfile.TemporaryDirectory() as name:
        changes = [f"storage={name}", f"search.trials={trials}", f"search.seed={seed}"]
        # The judgement below is that of the searches by hand; pdsearch's own, the confirmation, is left out.
        space = replace(pdsearch.load_space(SPACE, overrides=changes), confirm=None)
        study = pdsearch.run(space, address="local", workers=2)
        searched = [trial for trial in study.trials if trial.kind == "search"]
        full = [trial for trial in searched if trial.state == "complete"]
        best = max(full, key=lambda trial: trial.values["student.val_accuracy"])
        value = best.values["student.val_accuracy"]
        told = {"trials": len(searched), "best": value, "config": dict(best.params)}
        print(json.dumps(told), flush=True)

        spec = space.resolve(best.params)
        teacher = pdsearch.train_teacher(spec.data, spec.teacher, storage=name)
        if spec.prune is not None:
            teacher = pdsearch.prune(teacher, spec.prune)
        hows = [replace(spec.distill, seed=fresh, view_seed=fresh) for fresh in SEEDS]
        students = [pdsearch.distill(teacher, spec.student, how) for how in hows]
        print(json.dumps({"test": [student.test_accuracy() for student in students]}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
