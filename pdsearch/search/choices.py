"""What does the engine choose for a space, and why? For whoever asks with -v, before anything is trained."""

from pdsearch.data.views import SMALL_BYTES
from pdsearch.distillation.registry import losses
from pdsearch.search.disk import Images, known_images, outputs_bytes
from pdsearch.search.precision import Precision
from pdsearch.space import Space
from pdsearch.stages.site import Site

__all__ = ["choices"]

FLOAT32 = 4


def choices(space: Space, precision: Precision) -> list[str]:
    """Return a line for each of the engine's choices: device and precision, views, the teacher's outputs.

    Args:
        space: What is searched.
        precision: What its study computes in.
    """
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


def _views(images: Images) -> str:
    size = images.train * images.channels * images.size**2 * FLOAT32
    how = "all of an epoch made at once" if size <= SMALL_BYTES else "made batch by batch"
    return f"views: {how}, {size / 1e6:,.3g} MB an epoch as float32"


def _outputs(space: Space, images: Images, precision: Precision) -> str:
    spec = space.resolve(space.defaults())
    entry = losses.get(spec.distill.loss)
    if not entry.needs_teacher:
        return f"teacher's outputs: {spec.distill.loss} wants none"
    if entry.features:
        return f"teacher's outputs: live at every step, {spec.distill.loss} wants feature maps"
    size, limit = outputs_bytes(spec, images, precision.name), Site.outputs_limit_bytes
    if size > limit:
        return f"teacher's outputs: live in every epoch; stored, {size / 1e9:,.1f} GB would pass {limit / 1e9:,.1f}"
    return f"teacher's outputs: stored, {size / 1e6:,.3g} MB for each teacher and stream of views"
