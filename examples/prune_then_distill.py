"""The method by hand: train a teacher, prune it, and compare the students of both teachers, seed by seed.

    python examples/prune_then_distill.py [FOLDER]

Every network is an artifact in FOLDER (default: runs), under the key a search gives it: run it again, and nothing is
trained.
"""

import sys

import pdsearch
from pdsearch import DataSpec, DistillSpec, PruneSpec, Recipe, StudentSpec, TeacherSpec

EPOCHS = 10
SEEDS = range(3)


def main(storage: str) -> None:
    """Print each student's test accuracy, and what pruning the teacher changed."""
    recipe = Recipe(epochs=EPOCHS, lr=0.05, weight_decay=5e-4, schedule="cosine")
    recovery = Recipe(epochs=3, lr=0.02, weight_decay=5e-4)

    dense = pdsearch.train_teacher(DataSpec("digits"), TeacherSpec("convnet_l", 0, recipe), storage=storage)
    print(f"teacher            val {dense.val_accuracy:.2%}")

    # 59 % of the weights go, a fifth of what is left in each of four rounds; after each the teacher recovers.
    pruned = pdsearch.prune(dense, PruneSpec("magnitude", 0.59, recovery, recovery="lr_rewind"))
    print(f"pruned by {pruned.sparsity:.0%}      val {pruned.val_accuracy:.2%}")

    gains = []
    for seed in SEEDS:
        how = DistillSpec(recipe, "kd", (("temperature", 4.0), ("alpha", 0.9)), seed=seed, view_seed=seed)
        students = [pdsearch.distill(teacher, StudentSpec("convnet_s"), how) for teacher in (dense, pruned)]
        of_dense, of_pruned = (student.test_accuracy() for student in students)
        gains.append(of_pruned - of_dense)
        print(
            f"student, seed {seed}    test {of_dense:.2%} of the dense teacher, {of_pruned:.2%} of the pruned one"
        )
    # Three seeds tell little: `pdsearch run` confirms with more, and says how sure the difference is.
    print(f"gain by pruning    {sum(gains) / len(gains):+.2%} on average of {len(gains)} seeds")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "runs")
