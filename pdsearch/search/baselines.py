"""What is a search's result compared with? The student alone, and the unpruned teacher, in the same configuration."""

from dataclasses import replace

from pdsearch.specs import StudentSpec, TrialSpec

__all__ = ["alone", "unpruned", "with_seed"]


def alone(spec: TrialSpec, shape: StudentSpec) -> TrialSpec:
    """Return the same student, recipe and seeds without a teacher: hard labels only.

    Args:
        spec: The trial to compare with.
        shape: Its student as it was built, so that a student shaped by a pruned teacher keeps its shape.
    """
    hard = replace(spec.distill, loss="ce", params=(), code="")
    return replace(spec, prune=None, student=shape, distill=hard)


def unpruned(spec: TrialSpec, shape: StudentSpec) -> TrialSpec:
    """Return the same trial with the dense teacher: like for like, student's shape, loss and seeds kept."""
    return replace(spec, prune=None, student=shape)


def with_seed(spec: TrialSpec, seed: int) -> TrialSpec:
    """Return the same trial with a fresh student seed and view stream."""
    return replace(spec, distill=replace(spec.distill, seed=seed, view_seed=seed))
