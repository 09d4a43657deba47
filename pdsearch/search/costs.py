"""What must be there before a trial's student is trained? Its artifacts, with the epochs that each of them takes."""

from dataclasses import dataclass

from pdsearch.pruning import targets
from pdsearch.pruning.registry import methods
from pdsearch.specs import AtInit, TrialSpec
from pdsearch.stages.keys import dense_key, early_key, needs_teacher, round_keys
from pdsearch.stages.prune import kept_rounds, recipe_after

__all__ = ["Need", "dense", "needs", "teacher_epochs"]


@dataclass(frozen=True)
class Need:
    """An artifact of a teacher.

    Args:
        stage: "teacher" or "prune".
        key: Its key; the data's fingerprint is not in it yet.
        epochs: Of its own training.
        label: What a person calls it.
        stored: Whether it stays in the storage.
    """

    stage: str
    key: str
    epochs: int
    label: str
    stored: bool = True


def needs(spec: TrialSpec) -> tuple[Need, ...]:
    """Return the teacher's artifacts that a trial needs, first to last; none for a student alone."""
    if not needs_teacher(spec):
        return ()
    if spec.prune is None:
        return (dense(spec),)
    before = () if isinstance(spec.prune.after_round, AtInit) else (dense(spec),)
    return (*before, *_early(spec), *_rounds(spec))


def dense(spec: TrialSpec) -> Need:
    """Return the dense teacher of a trial, whether it needs it or not."""
    teacher = spec.teacher
    epochs = teacher.recipe.epochs if teacher.checkpoint is None else 0
    return Need("teacher", dense_key(spec), epochs, teacher.model)


def teacher_epochs(spec: TrialSpec) -> int:
    """Return the epochs that a trial's teacher takes where nothing is there yet."""
    return sum(need.epochs for need in needs(spec))


def _early(spec: TrialSpec) -> tuple[Need, ...]:
    """Return the teacher's early weights, where pruning goes back to them."""
    epoch = spec.prune.rewind_epoch if spec.prune else 0
    if not epoch:
        return ()
    return (Need("teacher", early_key(spec, epoch), epoch, f"{spec.teacher.model} to epoch {epoch}"),)


def _rounds(spec: TrialSpec) -> list[Need]:
    assert spec.prune is not None
    prune, found = spec.prune, []
    removes = methods.get(prune.method).removes
    sparsities, keys, kept = targets(prune), round_keys(spec), kept_rounds(prune)
    for number, (sparsity, key) in enumerate(zip(sparsities, keys, strict=True), start=1):
        recipe = recipe_after(spec, prune, number) if number in kept else None
        gone = f", {100 * sparsity:.0f} %" if removes else ""
        label = f"{spec.teacher.model} {prune.method} round {number}{gone}"
        found.append(Need("prune", key, recipe.epochs if recipe else 0, label, stored=number in kept))
    return found
