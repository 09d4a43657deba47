"""What does a mask do to a network? Single weights become zero; whole channels leave it."""

from torch import nn

from pdsearch.data import Dataset
from pdsearch.pruning import Mask, find_ties, kept_channels, shrink
from pdsearch.pruning.registry import methods
from pdsearch.specs import Json, PruneSpec, TrialSpec
from pdsearch.stages.networks import an_image, blank

__all__ = ["cut", "cut_out"]


def cut(model: nn.Module, mask: Mask, spec: TrialSpec, data: Dataset, within: Mask | None = None) -> None:
    """Prune a network in place as a mask of the whole network says.

    Args:
        model: The network; if channels go, those that `within` lacks are gone.
        mask: What stays.
        spec: The trial, which prunes.
        data: The images it is for.
        within: The mask of the rounds before.
    """
    if not _structured(spec):
        mask.apply(model)
        return
    before = None if within is None else _kept(within, spec, data)
    image = an_image(data).to(next(model.parameters()).device)
    shrink(model, image, kept=_kept(mask, spec, data), before=before)


def cut_out(mask: Mask, spec: TrialSpec, data: Dataset) -> tuple[dict[str, Json], Mask | None]:
    """Return what an artifact says of a mask, and the mask of the zeros in its network: none if channels went."""
    counts: dict[str, Json] = {
        "sparsity": mask.sparsity,
        "remaining": mask.remaining,
        "prunable": mask.total,
    }
    if not _structured(spec):
        return counts, mask
    kept: dict[str, Json] = {name: list(left) for name, left in _kept(mask, spec, data).items()}
    return {**counts, "kept": kept}, None


def _structured(spec: TrialSpec) -> bool:
    return spec.prune is not None and methods.get(spec.prune.method).structured


def _kept(mask: Mask, spec: TrialSpec, data: Dataset) -> dict[str, tuple[int, ...]]:
    prune: PruneSpec = spec.prune  # type: ignore[assignment]
    whole = blank(spec.teacher.model, spec.teacher.options, data, spec.teacher.seed)
    return kept_channels(mask, find_ties(whole, an_image(data), prune.exclude))
