"""How much storage will a study fill? Images, teachers, pruning rounds, teachers' outputs and students, in bytes."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from pdsearch.data.combining import chain
from pdsearch.distillation.registry import losses
from pdsearch.models import build, count_params, without_weights
from pdsearch.pruning.registry import methods
from pdsearch.search.chances import Chance, trials_of
from pdsearch.search.plan import Plan
from pdsearch.space import Space
from pdsearch.space.catalog import FROM_TEACHER
from pdsearch.specs import DataSpec, Params, TrialSpec
from pdsearch.stages.keys import teacher_key
from pdsearch.stages.site import Site

__all__ = ["Disk", "Images", "disk", "known_images", "outputs_bytes"]

WEIGHT, KEPT = 4, 1
"""Bytes of a weight and of its place in a mask."""


@dataclass(frozen=True)
class Images:
    """What is known of a data set without reading it: classes, channels, size in pixels, images in both parts."""

    classes: int
    channels: int
    size: int
    train: int
    test: int


KNOWN = {
    "digits": Images(10, 1, 8, 1_347, 450),
    "cifar10": Images(10, 3, 32, 50_000, 10_000),
    "cifar100": Images(100, 3, 32, 50_000, 10_000),
    "fashion_mnist": Images(10, 1, 28, 60_000, 10_000),
    "svhn": Images(10, 3, 32, 73_257, 26_032),
    "tiny_imagenet": Images(200, 3, 64, 100_000, 10_000),
}


@dataclass(frozen=True)
class Disk:
    """Bytes of each kind of artifact; the records of trials are small beside them."""

    data: float
    teachers: float
    rounds: float
    outputs: float
    students: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.data + self.teachers + self.rounds + self.outputs + self.students


def known_images(data: DataSpec) -> Images | None:
    """Return what is known of a data set by its source's name; None for files that only reading can tell."""
    found = KNOWN.get(data.source)
    if found is None or data.subset is None:
        return found
    return Images(found.classes, found.channels, found.size, min(found.train, data.subset), found.test)


def disk(space: Space, planned: Plan, images: Images) -> Disk:
    """Return what a planned study will store, as near as can be told before anything is computed.

    Args:
        space: What is searched.
        planned: Its plan.
        images: The data set.
    """
    found, trials, exact = trials_of(space)
    sizes = _Sizes(images)
    teachers = sum(a.built * sizes.of(a.model, a.options) for a in planned.artifacts if a.stage == "teacher")
    rounds = sum(
        a.built * sizes.of(a.model, a.options) for a in planned.artifacts if a.stage == "prune" and a.stored
    )
    times = space.confirm.teacher_seeds if space.confirm else 1
    students = sum(phase.students for phase in planned.phases)
    mean = sum(chance.share * sizes.student(chance.spec) for chance in found)
    return Disk(
        data=images.channels * images.size**2 * (images.train + images.test),
        teachers=WEIGHT * teachers * times,
        rounds=(WEIGHT + KEPT) * rounds * times,
        outputs=_outputs(space, found, None if exact else trials, images),
        students=WEIGHT * students * mean,
    )


@dataclass
class _Sizes:
    """Numbers of weights, each network built once and without memory."""

    images: Images

    def __post_init__(self) -> None:
        self._known: dict[tuple[str, Params], int] = {}

    def of(self, model: str, options: Params) -> int:
        key = (model, without_weights(model, options))
        if key not in self._known:
            images = self.images
            with torch.device("meta"):
                made = build(
                    model,
                    num_classes=images.classes,
                    channels=images.channels,
                    image_size=images.size,
                    seed=0,
                    options=key[1],
                )
            self._known[key] = count_params(made)
        return self._known[key]

    def student(self, spec: TrialSpec) -> float:
        """Return the size of a trial's student; of one shaped by its teacher, what pruning leaves of that."""
        if spec.student.model != FROM_TEACHER:
            return self.of(spec.student.model, spec.student.options)
        removed = spec.prune.ratio if spec.prune and methods.get(spec.prune.method).removes else 0.0
        return (1 - removed) * self.of(spec.teacher.model, spec.teacher.options)


def _outputs(space: Space, found: list[Chance], trials: int | None, images: Images) -> float:
    """Return the bytes of teachers' logits: one set for each teacher and stream of views, if it fits its limit."""
    taught = [chance for chance in found if _listens(chance.spec)]
    if not taught:
        return 0.0
    low = space.precision in ("bf16", "fp16") or (space.precision == "auto" and space.resources.gpu > 0)
    computed = "bf16" if low else "fp32"  # On a CPU `auto` may be bf16: half of this, then.
    one = max(outputs_bytes(chance.spec, images, computed) for chance in taught)
    if one > Site.outputs_limit_bytes:
        return 0.0
    search = _distinct(taught, trials)
    confirm = space.confirm
    if confirm is None:
        return one * search
    again = confirm.seeds * confirm.teacher_seeds * (1 + min(confirm.teachers, search))
    return one * (search + again)


def outputs_bytes(spec: TrialSpec, images: Images, computed: str) -> float:
    """Return the bytes of one teacher's logits for all views of one stream.

    Args:
        spec: A trial.
        images: Its data set.
        computed: Precision they are computed in: "fp32", "bf16" or "fp16".
    """
    train = images.train * (1 - spec.data.val_fraction)
    return images.classes * train * _views(spec) * (4 if computed == "fp32" else 2)


def _listens(spec: TrialSpec) -> bool:
    entry = losses.get(spec.distill.loss)
    return entry.needs_teacher and not entry.features


def _views(spec: TrialSpec) -> int:
    return 1 if chain(spec.data.augment).constant else spec.distill.recipe.epochs


def _distinct(taught: Iterable[Chance], trials: int | None) -> float:
    """Return how many teachers are expected to teach at least once; all of them where every trial is run (None)."""
    shares: dict[str, float] = {}
    for chance in taught:
        key = teacher_key(chance.spec)
        shares[key] = shares.get(key, 0.0) + chance.share
    return sum(1 - (1 - min(1.0, share)) ** trials if trials else 1 for share in shares.values())
