"""The precision of a study: what `auto` stands for, decided once when the study begins."""

from dataclasses import dataclass

import torch

from pdsearch.config import Space
from pdsearch.config.catalog import FROM_TEACHER, PUBLISHED
from pdsearch.models import count_params, has_depthwise
from pdsearch.pipeline.rehearsal import Rehearsal
from pdsearch.training.device import computes_bf16, resolve_precision, why_fp32

AUTO = "auto"


@dataclass(frozen=True)
class Precision:
    """A precision and the reason for it.

    Args:
        name: "fp32", "bf16" or "fp16".
        reason: For the user.
    """

    name: str
    reason: str


def choose_precision(space: Space, rehearsal: Rehearsal, *, workers: bool | None = None) -> Precision:
    """Return the precision of a new study, whatever else its space searches.

    Args:
        space: What is searched; its first student counts.
        rehearsal: Builds that student, or the teacher that shapes it, for inspection.
        workers: Whether the devices of the workers compute in bf16; None assumes that they are like this machine's.

    Raises:
        ConfigError: That network cannot be built.
    """
    if space.precision != AUTO:
        return Precision(resolve_precision(space.precision, "cpu"), "as the space says")
    who = "" if workers is None else ", say the workers"
    if space.resources.gpu > 0:
        # On a head without a GPU, before its workers are asked, assume bf16: most GPUs have it.
        able = not torch.cuda.is_available() or computes_bf16("cuda") if workers is None else workers
        return Precision(resolve_precision(AUTO, "cuda", bf16=able), f"{AUTO}{who}")
    weights, depthwise = _looked_at(space, rehearsal)
    reason = why_fp32(weights, depthwise=depthwise, bf16=computes_bf16("cpu") if workers is None else workers)
    return Precision(
        "fp32" if reason else "bf16", f"{AUTO}: {reason or 'this CPU has instructions for it'}{who}"
    )


def kept_precision(space: Space, began: str) -> Precision:
    """Return the precision of a study that goes on: the one it began with, whatever `auto` would be today."""
    return Precision(
        began, "auto: as when the study began" if space.precision == AUTO else "as the space says"
    )


def _looked_at(space: Space, rehearsal: Rehearsal) -> tuple[int | None, bool]:
    """Return the first student's size and whether it has depthwise convolutions, as far as they are known.

    Published ones are taken to be large and without them, those of from_teacher to be large and like the teacher.
    """
    spec = space.resolve(space.defaults())
    shaped = spec.student.model == FROM_TEACHER
    chosen, section = (spec.teacher, "teacher") if shaped else (spec.student, "student")
    if chosen.model.startswith(PUBLISHED):
        return None, False
    network = rehearsal.network(chosen.model, chosen.options, spec.teacher.seed, where=f"{section}.model")
    return None if shaped else count_params(network), has_depthwise(network)
