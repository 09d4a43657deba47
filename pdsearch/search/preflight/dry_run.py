"""Dry run of all that a space can use, before anything is trained: images, teachers, networks, losses.

A damaged image in the middle of a set would otherwise fail one trial after another. The decoded images are the artifact
that all workers map, so that nothing is decoded twice.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from pdsearch.artifacts import open_store
from pdsearch.config import Parameter, Space
from pdsearch.config.checks.feasibility import corners
from pdsearch.config.resolve import centre_of, combinations
from pdsearch.config.yaml_tree import Scalar
from pdsearch.data.augmentation_parser import check_applies
from pdsearch.data.dataset.composition import Contents, contents
from pdsearch.data.dataset.dataset import Dataset
from pdsearch.data.registry import sources
from pdsearch.models import file_hash
from pdsearch.pipeline.cache import drain
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import dataset
from pdsearch.pipeline.keys import dense_key
from pdsearch.pipeline.network_checks import answer_of, check_logits_shape, few_of, first_images
from pdsearch.pipeline.rehearsal import Rehearsal, in_small
from pdsearch.pipeline.teacher import starting_point, zeros
from pdsearch.protocol import Job
from pdsearch.search.resolved import Description, absolute
from pdsearch.specs import DataSpec, TeacherSpec, TrialSpec

TEACHER = ("teacher.model", "teacher.options")
PRUNING = (
    *TEACHER,
    "train.recover.batch_size",
    "prune.method",
    "prune.params",
    "prune.exclude",
    "prune.scope",
    "prune.weights",
    "prune.round_to",
    "prune.at",
    "student.model",
    "student.init",
)
DISTILLING = (
    *TEACHER,
    "train.teacher.batch_size",
    "train.distill.batch_size",
    "student.",
    "distill.",
    "data.augment",
)


def check_trials(space: Space, describe: Description, rehearsal: Rehearsal) -> None:
    """Try every combination of teacher, student and loss of a space, then every pruning of every teacher.

    Raises:
        ConfigError: One of them fails; the message says which part and why.
    """
    seen: set[TrialSpec] = set()
    for fields in (DISTILLING, PRUNING):
        for found in corners(space, partial(_decisive, fields)):
            spec = describe.complete(found if fields is PRUNING else replace(found, prune=None))
            small = in_small(spec, rehearsal.data)
            if small not in seen:
                seen.add(small)
                rehearsal.trial(spec)


def _decisive(fields: tuple[str, ...], parameter: Parameter) -> bool:
    """Return whether a parameter's values must be tried; a float's need not: its range was checked with the space."""
    return parameter.name.startswith(fields) and parameter.kind != "float"


TEACHER_FIELDS = ("data.", "teacher.", "train.teacher.")
CHECKPOINT = "teacher.checkpoint"


def checkpoints(space: Space) -> dict[str, str]:
    """Return the hash of every checkpoint a space names, by the name it has there.

    Raises:
        ConfigError: A file is missing or cannot be read.
    """
    named = [value for name, value in space.fixed if name == CHECKPOINT]
    named += [choice for p in space.parameters if p.name == CHECKPOINT for choice in p.choices]
    return {str(path): file_hash(absolute(str(path))) for path in named}


def check_outside(
    space: Space, describe: Description, site: WorkerContext, say: Callable[[str], None]
) -> None:
    """Load every teacher that was trained elsewhere into its network and run it once, unless that was done before.

    Raises:
        ConfigError: A file is not a checkpoint, does not fit its network, or gives outputs that are not finite.
        DataError: A file is broken, or published weights cannot be obtained.
    """
    for job in teacher_jobs(space, describe):
        if _from_outside(job.spec.teacher) and site.store.find("teacher", job.key) is None:
            teacher, data = job.spec.teacher, drain(dataset(job.spec.data, site))
            where = teacher.checkpoint or "teacher.options.weights"
            model = starting_point(teacher, data, site).eval()
            check_logits_shape(model, few_of(data), name=teacher.model, where=where)
            if not teacher.trained_here and (doubt := doubted(model, data)):
                say(f"{where}: {doubt}")
            if share := zeros(model):
                said = f"{100 * share:.0f} % of its prunable weights are zero already"
                say(
                    f"{where}: {said}; they count in prune.ratio, and training fills those it does not remove"
                )


CLASSES, IMAGES, ENOUGH, ENOUGH_OF_EACH = 10, 100, 20, 4
"""Classes, and images in all, on which a teacher from elsewhere is tried; fewer than ENOUGH images say nothing."""
PATIENCE_S = 10.0
"""Seconds after which it is asked no more."""
MOSTLY = 0.6
"""Share of images that another order of the classes has to explain."""


def doubted(model: nn.Module, data: Dataset) -> str:
    """Return in words why a teacher from elsewhere may have been trained on other classes or images; "" if it may not.

    Args:
        model: In evaluation mode, on the CPU.
        data: Its validation images are asked for, or its training images where there are none.
    """
    from scipy.optimize import linear_sum_assignment  # Slow to import, and few studies read a teacher.
    from scipy.special import bdtrc

    part = data.val if len(data.val) else data.train
    held = part.labels.unique()
    chosen = held[torch.linspace(0, len(held) - 1, min(CLASSES, len(held))).long()]
    of_each = IMAGES // len(chosen)
    members = [(part.labels == label).nonzero()[:of_each, 0] for label in chosen]
    # In turns, so that classes are alike among those that a slow network answers.
    index = torch.cat([places[turn : turn + 1] for turn in range(of_each) for places in members])
    asked = replace(data, train=replace(part, images=part.images[index], labels=part.labels[index]))
    found, start = [], time.monotonic()
    for some in first_images(asked, len(index)).split(CLASSES):
        if time.monotonic() - start < PATIENCE_S:
            found.append(answer_of(model, some))
    answers = torch.cat(found)
    index = index[: len(answers)]
    if len(index) < ENOUGH:
        return ""
    rows, classes = torch.searchsorted(chosen, part.labels[index]), chosen.tolist()
    hits = torch.zeros(len(classes), data.num_classes)
    hits.index_put_((rows, answers.argmax(1)), torch.tensor(1.0), accumulate=True)
    other = linear_sum_assignment(-hits.numpy())[1].tolist()
    right, best = (
        sum(float(hits[row, output]) for row, output in enumerate(outputs)) for outputs in (classes, other)
    )
    images = len(index)
    said = f"the teacher answers {right / images:.0%} of {images} images rightly"
    # Of few images of each class, as many outputs as there are images fit by chance.
    if best >= max(MOSTLY, right / images + 0.2) * images and images >= ENOUGH_OF_EACH * len(classes):
        moved = [(label, output) for label, output in zip(classes, other, strict=True) if label != output]
        pairs = ", ".join(f"{data.classes[label]!r} is its output {output}" for label, output in moved[:3])
        order = f"{best / images:.0%} if its classes had another order than those of the data"
        return f"{said}, and {order}: {pairs}, from 0"
    if right and bdtrc(right - 1, images, 1 / data.num_classes) < 0.01:
        return ""
    return (
        f"{said}, as guessing would: were its classes others, or its images normalised otherwise than by"
        " their mean and standard deviation here?"
    )


def _from_outside(teacher: TeacherSpec) -> bool:
    return teacher.checkpoint is not None or "weights" in dict(teacher.options)


def teacher_jobs(space: Space, describe: Description) -> Iterator[Job]:
    """Yield a job for every dense teacher that the space can name; those in a range are built when needed."""

    def values(parameter: Parameter) -> Iterable[Scalar]:
        varied = parameter.kind == "categorical" and parameter.name.startswith(TEACHER_FIELDS)
        return parameter.choices if varied else (centre_of(parameter),)

    return dense_jobs(map(space.resolve, combinations(space.parameters, values)), describe)


def dense_jobs(specs: Iterable[TrialSpec], describe: Description) -> Iterator[Job]:
    """Yield a job for the dense teacher of every trial, each teacher once."""
    seen: set[str] = set()
    for trial in specs:
        spec = describe.complete(replace(trial, prune=None))
        key = dense_key(spec)
        if key not in seen:
            seen.add(key)
            yield Job(id=f"teacher-{key[:12]}", kind="teacher", spec=spec, key=key)


SILENT_S, EVERY_S = 3.0, 10.0
"""Seconds before the first message on the progress of decoding, and between further ones."""


def prepare_images(spec: DataSpec, site: WorkerContext, say: Callable[[str], None]) -> Dataset:
    """Decode and split a data set unless it is cached, reporting progress; return it.

    Raises:
        DataError: The set is missing, or an image cannot be decoded; the message names the file, and the row in it.
    """
    due = time.monotonic() + SILENT_S

    def tell(done: int, total: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + EVERY_S
            say(f"decoding {spec.source}: {done:,} of {total:,} images")

    return drain(dataset(spec, site, tell))


def say_contents(space: Space, data: Dataset, say: Callable[[str], None]) -> Contents:
    """Report what a data set holds and what about it may surprise, a line each."""
    found = contents(data)
    for line in (*found.lines, *_whole(space, data), *_large_batches(space, data)):
        say(f"data: {line}")
    return found


def _whole(space: Space, data: Dataset) -> Iterator[str]:
    """Yield a line for each part of a set that was asked for and is the whole of it."""
    spec, images = space.resolve(space.defaults()).data, len(data.train) + len(data.val)
    if spec.subset is not None and spec.subset > images:
        yield f"data.subset {spec.subset} has no effect: there are {images} training images"
    if spec.crop and {*data.train.images.shape[2:]} == {spec.crop}:
        yield f"data.crop {spec.crop} has no effect: it is the whole image"


def _large_batches(space: Space, data: Dataset) -> Iterator[str]:
    """Yield a line for each recipe whose every batch would be the whole training split."""
    spec, values = space.resolve(space.defaults()), {p.name: p.choices for p in space.parameters}
    recipes = {"train.teacher": spec.teacher.recipe, "train.distill": spec.distill.recipe}
    if spec.prune is not None:
        recipes["train.recover"] = spec.prune.recipe
    for name, recipe in recipes.items():
        sizes = values.get(f"{name}.batch_size") or [recipe.batch_size]
        if spec.teacher.checkpoint is None or name != "train.teacher":
            for size in (size for size in sizes if isinstance(size, int) and size > len(data.train)):
                yield f"{name}.batch_size {size} is larger than the training split: an epoch is one step"


def check_data(space: Space, say: Callable[[str], None]) -> None:
    """Read a space's data set as a run would, in a temporary folder, and report what it holds.

    Raises:
        DataError: The set is missing or broken.
        ConfigError: It does not fit the split, or an augmentation does not apply to its inputs.
    """
    spec = space.resolve(space.defaults()).data
    with TemporaryDirectory(prefix="pdsearch-") as folder:
        site = WorkerContext(open_store(Path(folder) / "artifacts"), Path(folder) / "progress")
        data = prepare_images(
            replace(spec, fingerprint=sources.get(spec.source).fingerprint(spec)), site, say
        )
        say_contents(space, data, say)
        augmented = [p.choices for p in space.parameters if p.name == "data.augment"]
        for augment in augmented[0] if augmented else [spec.augment]:
            check_applies(str(augment), data.inputs)
