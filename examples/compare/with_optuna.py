"""The digits search by hand with Optuna: TPE and early stopping, in two processes that share a journal.

python examples/compare/with_optuna.py [--trials 24] [--seed 0]
"""

import argparse
import json
import multiprocessing
import tempfile
from pathlib import Path

import optuna
from by_hand import dense_teacher, judge, propose, trial
from optuna.storages.journal import JournalFileBackend

optuna.logging.set_verbosity(optuna.logging.WARNING)


def study(folder: Path, seed: int) -> optuna.Study:
    """Create the study, or open it."""
    return optuna.create_study(
        study_name="digits",
        direction="maximize",
        load_if_exists=True,
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(folder / "journal"))),
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=6, reduction_factor=2),
    )


def work(folder: Path, trials: int, seed: int) -> None:
    """Run trials until there are enough of them."""

    def objective(drawn: optuna.Trial) -> float:
        propose(drawn)
        value = 0.0
        for epoch, value in enumerate(trial(drawn.params, folder / "teacher.pt"), 1):
            drawn.report(value, epoch)
            if drawn.should_prune():
                raise optuna.TrialPruned
        return value

    enough = optuna.study.MaxTrialsCallback(trials, states=None)
    study(folder, seed).optimize(objective, callbacks=[enough])


def main(trials: int, seed: int) -> None:
    """Search, print the best configuration, and judge it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = dense_teacher(folder)
        spawn = multiprocessing.get_context("spawn")
        # Two samplers with one seed would propose the same points.
        workers = [spawn.Process(target=work, args=(folder, trials, 2 * seed + n)) for n in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        found = study(folder, seed)
        best = found.best_trial
        told = {"trials": len(found.trials), "best": best.value, "config": best.params}
        print(json.dumps(told), flush=True)
        judge(best.params, file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
