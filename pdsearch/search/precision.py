"""In which precision does a study compute? What `auto` stands for, resolved once, when the study begins."""

import torch

from pdsearch.models import build, count_params
from pdsearch.search.disk import known_images
from pdsearch.space import Space
from pdsearch.space.catalog import FROM_TEACHER
from pdsearch.training import resolve_precision

__all__ = ["precision", "student_weights"]


def precision(space: Space) -> str:
    """Return "fp32", "bf16" or "fp16" for a space, whatever else it searches."""
    if space.precision == "auto" and space.resources.gpu > 0:
        # The head of a cluster often has no GPU itself; the cards of its workers are taken to know bf16.
        return resolve_precision("auto", "cuda") if torch.cuda.is_available() else "bf16"
    weights = student_weights(space) if space.precision == "auto" else None
    return resolve_precision(space.precision, "cpu", weights=weights)


def student_weights(space: Space) -> int | None:
    """Return the size of the first student of a space; None if only reading data or code from elsewhere could tell."""
    spec = space.resolve(space.defaults())
    images, student = known_images(spec.data), spec.student
    if images is None or student.model == FROM_TEACHER or "/" in student.model or ":" in student.model:
        return None
    with torch.device("meta"):
        made = build(
            student.model,
            num_classes=images.classes,
            channels=images.channels,
            image_size=images.size,
            seed=0,
            options=student.options,
        )
    return count_params(made)
