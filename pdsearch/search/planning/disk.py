"""Estimate of the bytes that a study stores: images, teachers, pruning rounds, teachers' outputs, students."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from pdsearch.config import Space
from pdsearch.data.augmentation_parser import chain
from pdsearch.data.dataset.dataset import Dataset
from pdsearch.data.registry import sources
from pdsearch.distillation.registry import losses
from pdsearch.input_spec import InputSpec
from pdsearch.models import build_on_meta, count_params, without_weights
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.keys import teacher_key
from pdsearch.search.planning.outcomes import unshaped
from pdsearch.search.planning.simulate import Plan
from pdsearch.specs import DataSpec, Params, TrialSpec

WEIGHT, KEPT = 4, 1
"""Bytes of a weight and of its entry in a mask."""


@dataclass(frozen=True)
class DataShape:
    """What is known of a data set without reading it: classes, shape and type of an input, inputs in both parts."""

    classes: int
    inputs: InputSpec
    train: int
    test: int


KNOWN = {
    "digits": DataShape(10, InputSpec((1, 8, 8)), 1_347, 450),
    "cifar10": DataShape(10, InputSpec((3, 32, 32)), 50_000, 10_000),
    "cifar100": DataShape(100, InputSpec((3, 32, 32)), 50_000, 10_000),
    "fashion_mnist": DataShape(10, InputSpec((1, 28, 28)), 60_000, 10_000),
    "svhn": DataShape(10, InputSpec((3, 32, 32)), 73_257, 26_032),
    "tiny_imagenet": DataShape(200, InputSpec((3, 64, 64)), 100_000, 10_000),
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
        """Their sum."""
        return self.data + self.teachers + self.rounds + self.outputs + self.students


def known_images(data: DataSpec) -> DataShape | None:
    """Return what is known of a data set by its source's name; None for files that only reading can tell."""
    found = KNOWN.get(data.source)
    if found is None or data.subset is None:
        return found
    return replace(found, train=min(found.train, data.subset))


def shape_of(data: Dataset) -> DataShape:
    """Return what a data set turned out to hold."""
    return DataShape(data.num_classes, data.inputs, len(data.train) + len(data.val), len(data.test))


def disk(
    space: Space,
    planned: Plan,
    images: DataShape,
    built: Mapping[tuple[str, Params], int] = MappingProxyType({}),
) -> Disk:
    """Return what a planned study will store, as near as can be told before anything is computed."""
    sizes, students = _Sizes(images, dict(built)), planned.students
    count = sum(phase.students for phase in planned.phases)
    return Disk(
        data=images.inputs.nbytes * (images.train + images.test),
        teachers=WEIGHT * _built(planned, "teacher", sizes),
        rounds=(WEIGHT + KEPT) * _built(planned, "prune", sizes),
        outputs=_outputs(space, planned, images),
        students=WEIGHT * count * sum(map(sizes.student, students)) / max(1, len(students)),
    )


def _built(planned: Plan, stage: str, sizes: "_Sizes") -> float:
    """Return the total number of weights of a stage's stored artifacts."""
    stay = (a for a in planned.artifacts if a.stage == stage and a.stored)
    return sum(a.built * sizes.of(a.spec.teacher.model, a.spec.teacher.options) for a in stay)


def read_shape(data: DataSpec) -> DataShape:
    """Return what a data set's files hold; images are not decoded.

    Raises:
        DataError: The set is missing or broken.
    """
    raw = sources.get(data.source).read(data)
    train, test = len(raw.train_labels), len(raw.test_labels)
    if not test:
        test = round(train * data.test_fraction)
        train -= test
    shape = DataShape(len(raw.classes), raw.inputs, train, test)
    return shape if data.subset is None else replace(shape, train=min(shape.train, data.subset))


@dataclass
class _Sizes:
    """Numbers of weights; a network that is not known yet is built once, on the meta device."""

    images: DataShape
    known: dict[tuple[str, Params], int]

    def of(self, model: str, options: Params) -> int:
        key = (model, without_weights(model, options))
        if key not in self.known:
            images = self.images
            made = build_on_meta(
                model, num_classes=images.classes, input_shape=images.inputs.shape, options=key[1]
            )
            self.known[key] = count_params(made)
        return self.known[key]

    def student(self, spec: TrialSpec) -> float:
        """Return the weights of a trial's student; for one shaped by its teacher, those that pruning leaves."""
        model, options, left = unshaped(spec)
        return left * self.of(model, options)


def _outputs(space: Space, planned: Plan, images: DataShape) -> float:
    """Return the bytes of teachers' logits: one set for each teacher and stream of views, if it fits its limit."""
    low = space.precision in ("bf16", "fp16") or (space.precision == "auto" and space.resources.gpu > 0)
    computed = "bf16" if low else "fp32"  # On a CPU `auto` may be bf16: half of this, then.
    sets: dict[tuple[str, int], float] = {}
    for spec in filter(listens, planned.students):
        size = outputs_bytes(spec, images, computed)
        stream = teacher_key(spec), spec.distill.view_seed
        sets[stream] = max(sets.get(stream, 0.0), size if size <= WorkerContext.outputs_limit_bytes else 0.0)
    return sum(sets.values())


def outputs_bytes(spec: TrialSpec, images: DataShape, computed: str) -> float:
    """Return the bytes of one teacher's logits for all views of one stream.

    Args:
        spec: A trial.
        images: Its data set.
        computed: Precision they are computed in: "fp32", "bf16" or "fp16".
    """
    train = images.train * (1 - spec.data.val_fraction)
    return images.classes * train * view_epochs(spec) * (4 if computed == "fp32" else 2)


def listens(spec: TrialSpec) -> bool:
    """Return whether a trial hears logits of its teacher, and no feature maps."""
    entry = losses.get(spec.distill.loss)
    return entry.needs_teacher and not entry.features


def view_epochs(spec: TrialSpec) -> int:
    """Return for how many epochs a trial's views differ."""
    return 1 if chain(spec.data.augment).constant else spec.distill.recipe.epochs
