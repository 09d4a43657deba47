"""Precision, disk space and cores of a study, decided or checked before it begins, and a summary of these choices."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import torch

from pdsearch.config import Space
from pdsearch.config.catalog import FROM_TEACHER, PUBLISHED
from pdsearch.data.dataset.views import SMALL_BYTES
from pdsearch.distillation.registry import losses
from pdsearch.errors import StorageFullError
from pdsearch.io import Place, Remote, cache_folder
from pdsearch.io.durable import storage_errors
from pdsearch.models import count_params, has_depthwise
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.rehearsal import Rehearsal
from pdsearch.search.planning.disk import DataShape, disk, known_images, outputs_bytes
from pdsearch.search.planning.simulate import plan
from pdsearch.specs import Params
from pdsearch.training.device import computes_bf16, cores, resolve_precision, why_fp32

AUTO = "auto"


@dataclass(frozen=True)
class Precision:
    """A precision, "fp32", "bf16" or "fp16", and the reason for it, for the user."""

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


LEAST_BYTES = 200 * 10**6
"""Free bytes below which records and checkpoints may not fit."""


def check_room(root: Place) -> int:
    """Return the bytes that are free for a study.

    Args:
        root: The storage; its folder is created.

    Raises:
        StorageFullError: There is too little to begin.
        StorageError: The storage cannot be read.
    """
    # An object storage has space; the copies on this machine need some.
    disk_folder = cache_folder(root) if isinstance(root, Remote) else root
    with storage_errors(disk_folder):
        disk_folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(disk_folder).free
    if free < LEAST_BYTES:
        raise StorageFullError(
            f"{free / 1e6:.0f} MB are free; a study needs {LEAST_BYTES / 1e6:.0f} MB to begin",
            where=str(disk_folder),
            hint="free some space (pdsearch cache gc), then run the same command again",
        )
    return free


def room(space: Space, root: Place, images: DataShape, built: Mapping[tuple[str, Params], int]) -> str | None:
    """Return a warning if a new study may not fit on the disk.

    Raises:
        StorageError: As of `check_room`.
    """
    free = check_room(root)
    if isinstance(root, Remote):
        return None
    need = disk(space, plan(space), images, built).total
    if need <= free:
        return None
    return f"the study may fill {need / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free in {root}"


def crowd(space: Space, at_once: int) -> str | None:
    """Return a warning if trials on this machine ask for more cores than there are."""
    wanted, there = at_once * space.resources.cpu, cores()
    if wanted <= there:
        return None
    return (
        f"{at_once} trials at once with {space.resources.cpu} cores each want {wanted} of {there} cores and will wait"
        " for one another: fewer --workers or a smaller resources.cpu is faster"
    )


FLOAT32 = 4


def choices(space: Space, precision: Precision) -> list[str]:
    """Return a line for each of the engine's choices: device and precision, views, the teacher's outputs."""
    images = known_images(space.resolve(space.defaults()).data)
    lines = [_computing(space, precision)]
    if images is not None:
        lines += [_views(images), _outputs(space, images, precision)]
    return lines


def _computing(space: Space, precision: Precision) -> str:
    name = f"{precision.name} ({precision.reason})"
    if space.resources.gpu > 0:
        graphs = ", steps captured as CUDA graphs where that is faster" if space.resources.cuda_graphs else ""
        return f"engine: GPU, {name}, channels_last, fused optimizer{graphs}"
    threads = max(1, space.resources.cpu)
    return f"engine: CPU, {name}, threads a trial: {threads}, channels_last, fused optimizer"


def _views(images: DataShape) -> str:
    size = images.train * prod(images.inputs.shape) * FLOAT32
    how = "all of an epoch made at once" if size <= SMALL_BYTES else "made batch by batch"
    return f"views: {how}, {size / 1e6:,.3g} MB an epoch as float32"


def _outputs(space: Space, images: DataShape, precision: Precision) -> str:
    spec = space.resolve(space.defaults())
    entry = losses.get(spec.distill.loss)
    if not entry.needs_teacher:
        return f"teacher's outputs: {spec.distill.loss} wants none"
    if entry.features:
        return f"teacher's outputs: live at every step, {spec.distill.loss} wants feature maps"
    size, limit = outputs_bytes(spec, images, precision.name), WorkerContext.outputs_limit_bytes
    if size > limit:
        return f"teacher's outputs: live in every epoch; stored, {size / 1e9:,.1f} GB would pass {limit / 1e9:,.1f}"
    return f"teacher's outputs: stored, {size / 1e6:,.3g} MB for each teacher and stream of views"
