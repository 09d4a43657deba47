"""Rehearsal of a trial: its stages, run on a few images in a temporary folder before anything is trained for long.

The stages are those of a trial, with recipes of one epoch. Before them, each network is asked for logits, trained for a
step, stored and loaded again, so that messages say which of these fails.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from pdsearch.artifacts import Store
from pdsearch.data.augmentation_parser import WHERE, check_applies
from pdsearch.data.dataset.dataset import Dataset
from pdsearch.data.dataset.views import check_repeated
from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError
from pdsearch.models import copied, copied_whole, count_params, without_weights
from pdsearch.models.features import find_layers
from pdsearch.pipeline import keys
from pdsearch.pipeline.cache import drain
from pdsearch.pipeline.context import MemoryCache, WorkerContext
from pdsearch.pipeline.distill import distilled_student
from pdsearch.pipeline.network_checks import (
    FEW,
    LONE,
    SEVERAL,
    STEP,
    answer_of,
    check_alone,
    check_logits_shape,
    check_statistics,
    check_step,
    check_stored,
    check_weights,
    few_of,
    first_images,
    named_errors,
    restored,
    sizes,
)
from pdsearch.pipeline.networks import Teacher, answering, blank, measure_accuracy, untrained
from pdsearch.pipeline.prune import smallest_batch, teacher
from pdsearch.pipeline.student import FROM_TEACHER, Student, student
from pdsearch.pipeline.teacher import dense_teacher
from pdsearch.pruning import prunable, targets
from pdsearch.pruning.prunable import every_weight
from pdsearch.specs import Params, Recipe, TeacherSpec, TrialSpec, digest

MANY, MOST = 129, 512
"""Training images of a rehearsal where the last of the real scoring batches has a single image; and at most, with the
real batch sizes, which are tried where the small ones fail."""

FILE = "weights.safetensors"
APART = "hooks that are lambdas and weak references stay with the original: use methods and attributes"


@contextmanager
def rehearsing(
    data: Dataset, kept: MemoryCache | None = None, *, on_gpu: bool = False
) -> Iterator["Rehearsal"]:
    """Yield the rehearsal for a data set; what it stores is removed afterwards.

    It computes in one thread: on a few images more would wait for one another, for seconds on a busy machine.

    Args:
        data: The data set.
        kept: Networks that are built already, and where those of the rehearsal are left.
        on_gpu: Whether trials run on a GPU: what they compute in fp16, with a loss scaler, is tried in fp32 here.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory(prefix="pdsearch-") as folder:
            yield Rehearsal(data, Path(folder), kept or MemoryCache(), on_gpu=on_gpu)
    finally:
        torch.set_num_threads(threads)


def in_small(spec: TrialSpec, data: Dataset) -> TrialSpec:
    """Return a trial with the epochs, rounds and batch sizes of a rehearsal; trials that are equal so need one only."""
    return _shortened(spec, lambda recipe: _smallest(recipe, data))


class Rehearsal:
    """Tries trials with one data set; a network is built twice, to be compared with itself, and copied otherwise."""

    def __init__(self, data: Dataset, folder: Path, kept: MemoryCache, *, on_gpu: bool) -> None:
        self.data, self._folder, self._on_gpu = data, folder, on_gpu
        self.weights: dict[tuple[str, Params], int] = {}
        """The number of weights of each network that was built, by its name and options."""
        self._site = WorkerContext(Store(folder / "artifacts"), folder / "progress", kept=kept)
        self._checked: set[object] = set()
        self._asked: TrialSpec

    def network(self, name: str, options: Params, seed: int, *, where: str) -> nn.Module:
        """Return a network as a trial will build it, without published weights, in evaluation mode.

        Raises:
            ConfigError: It cannot be built.
        """
        with named_errors(name, where):
            options = without_weights(name, options)
            network = untrained(name, options, self.data, seed, self._site)
            network.eval()
            self.weights[name, options] = count_params(network)
            return network

    def teacher(self, spec: TeacherSpec) -> nn.Module:
        """Return a teacher, as `network` does."""
        return self.network(spec.model, spec.options, spec.seed, where="teacher.model")

    def trial(self, spec: TrialSpec) -> None:
        """Run a trial in small: its teacher, its pruning, its student and its loss.

        Args:
            spec: The trial, completed by the study's description. Weights trained elsewhere are not used.

        Raises:
            ConfigError: A part fails; the message says which one, and why.
        """
        self._check_views(spec.data.augment)
        self._asked = spec
        small = in_small(spec, self.data)
        lone = spec.prune is not None and smallest_batch(self.data) == LONE
        images = SEVERAL if not lone else MANY
        try:
            self._run(small, images)
        except ConfigError:
            real = _shortened(spec, lambda recipe: recipe.batch_size)
            needed = max(sum(sizes(recipe, self.data)) for recipe in _recipes(spec))
            if (
                images < needed <= MOST
                and _smallest_of_all(spec, self.data) != LONE
                and self._goes(real, needed)
            ):
                return
            raise

    def _check_views(self, augment: str) -> None:
        check_applies(augment, self.data.inputs)
        if augment not in self._checked:
            few = few_of(self.data)
            with named_errors(augment, WHERE):
                check_repeated(
                    few.train, mean=few.mean, std=few.std, augment=augment, classes=few.num_classes
                )
            self._checked.add(augment)

    def _goes(self, spec: TrialSpec, images: int) -> bool:
        """Return whether a trial runs with its own batch sizes: some networks want more images than a few."""
        try:
            self._run(spec, images)
        except ConfigError:
            return False
        return True

    def _run(self, spec: TrialSpec, images: int) -> None:
        few, site = few_of(self.data, images), self._site
        # Keys hold the fingerprint, and with it the images.
        spec = replace(spec, data=replace(spec.data, fingerprint=digest([spec.data.fingerprint, images])))
        if spec.precision == "fp16" and self._on_gpu:
            spec = replace(spec, precision="fp32")
        # With one seed, a network that is teacher and student is built once.
        spec = replace(spec, distill=replace(spec.distill, seed=spec.teacher.seed))
        recipe = spec.teacher.recipe if spec.teacher.trained_here else None
        network = self.teacher(spec.teacher)
        self._check(network, recipe, few, spec, section="teacher")
        site.begin()
        spec = _from_scratch(spec)
        found = self._dense(spec, few)
        if spec.prune is not None:
            found = self._pruned(spec, few, network)
        if spec.prune is None or spec.student.model == FROM_TEACHER or _is_smaller(found, network):
            self._distilled(spec, few, found)

    def _dense(self, spec: TrialSpec, few: Dataset) -> Teacher:
        with named_errors(spec.teacher.model, "teacher.model", on="a first epoch of training"):
            found = drain(dense_teacher(spec, few, self._site))
        self._check_copy(found, few, spec)
        return found

    def _pruned(self, spec: TrialSpec, few: Dataset, network: nn.Module) -> Teacher:
        assert spec.prune is not None
        recovery = spec.prune.recipe if spec.prune.at == "trained" and spec.prune.recovery != "none" else None
        if recovery is not None:
            self._check(network, recovery, few, spec, section="teacher", field="train.recover")
        self._check_apart(network, few, spec.teacher.model)
        with named_errors(
            spec.prune.method, "prune.method", on=f"{spec.teacher.model} and {len(few.train)} images"
        ):
            with every_weight(spec.prune.weights == "matrices"):
                prunable(network, spec.prune.exclude)
            found = drain(teacher(spec, few, self._site))
        self._check_copy(found, few, spec)
        return found

    def _distilled(self, spec: TrialSpec, few: Dataset, found: Teacher) -> None:
        begins, site = keys.starting(spec), self._site
        given = found if keys.needs_teacher(spec) else None
        where, named = "student.model", spec.student
        if named.model != FROM_TEACHER:
            network = self.network(named.model, named.options, spec.distill.seed, where=where)
            self._check(network, spec.distill.recipe, few, spec, section="student")
        with named_errors(spec.student.model, where):
            start = drain(teacher(begins, few, site)) if spec.student.is_kept else found
            made = student(begins, few, start, site)
        if named.model == FROM_TEACHER:
            self._check_formed(made, few, spec)
        entry = losses.get(spec.distill.loss)
        pair = (
            ("student", made.model, spec.distill.student_layers),
            ("teacher", found.model, spec.distill.teacher_layers),
        )
        for section, network, layers in pair if entry.features else ():
            with named_errors(entry.name, f"distill.{section}_layers"):
                find_layers(network, layers)
        with named_errors(spec.distill.loss, "distill.loss", on=f"{len(few.train)} images"):
            for _ in distilled_student(spec, few, given, made, site):
                pass
            measure_accuracy(made.model, few, "test", site, spec.precision)

    def _check_formed(self, made: Student, few: Dataset, spec: TrialSpec) -> None:
        """Check a student that its teacher shapes: it is none that its builder could build again."""
        name, model = f"the student shaped from {spec.teacher.model}", made.model
        model.eval()
        check_logits_shape(model, few, name=name, where="student.model")
        check_step(model, spec.distill.recipe, few, name=name, where="student.model", field="train.distill")
        self._site.engine(spec.precision).place(model)

    def _check(
        self,
        network: nn.Module,
        recipe: Recipe | None,
        few: Dataset,
        spec: TrialSpec,
        *,
        section: str,
        field: str | None = None,
    ) -> None:
        """Check a network for a recipe: weights, logits, a step of training, and that it is the same when loaded."""
        which = spec.teacher if section == "teacher" else spec.student
        seed = spec.teacher.seed if section == "teacher" else spec.distill.seed
        known = (section, which.model, which.options, field, recipe and recipe.batch_size, len(few.train))
        if known in self._checked:
            return
        name, where = which.model, f"{section}.model"
        again, options = None, without_weights(name, which.options)
        if field is None:
            with named_errors(name, where, on="being built again"):
                # A student is exported by its weights: another seed draws others, and they make no difference.
                again = blank(name, options, self.data, seed + (section == "student"))
            # As it was built: a copy has memory of its own for every weight.
            check_weights(again, name=name, where=where, trained=recipe is not None)
        check_logits_shape(network, few, name=name, where=where)
        named = field or ("train.distill" if section == "student" else "train.teacher")
        asked = self._asked.distill if section == "student" else self._asked.teacher
        drawn = options == which.options and getattr(asked, "checkpoint", None) is None
        if field is None and recipe is not None and drawn:
            check_statistics(network, asked.recipe, self.data, name=name, where=where, field=named)
        with restored(network):
            if recipe is not None:
                check_step(network, recipe, few, name=name, where=where, field=named)
            if again is not None:
                check_stored(network, again, few, self._folder / FILE, name=name, where=where)
                check_alone(network, few, name=name, where=where)
        self._checked.add(known)

    def _check_apart(self, network: nn.Module, few: Dataset, name: str) -> None:
        """Refuse a teacher to be pruned whose copy goes on computing with the weights of the original."""
        if copied_whole(network) is not None:
            return
        twin, images = copied(network), first_images(few, FEW)
        before = answer_of(twin, images)
        with restored(network), torch.no_grad():
            for weight in network.parameters():
                weight.add_(1)
            after = answer_of(twin, images)
        if not torch.allclose(before, after):
            what = f"a copy of {name}, which would be pruned, computes with the weights of the original"
            raise ConfigError(what, where="teacher.model", hint=APART)

    def _check_copy(self, found: Teacher, few: Dataset, spec: TrialSpec) -> None:
        """Refuse a teacher whose copy for answering, batch normalisation folded, answers otherwise."""
        if not keys.needs_teacher(replace(spec, student=replace(spec.student, model=""))):
            return
        name, where = spec.teacher.model, "teacher.model"
        images = first_images(few, FEW)
        with named_errors(name, where, on="being copied"):
            twin = answering(found, self._site, spec.precision)
            ours, theirs = (answer_of(model, images) for model in (found.model, twin))
        scale = float(ours.abs().max())
        if not torch.allclose(ours, theirs, rtol=0.01, atol=0.01 * scale + 1e-6):
            raise ConfigError(f"a copy of {name} answers otherwise", where=where, hint=APART)


def _shortened(spec: TrialSpec, size: Callable[[Recipe], int]) -> TrialSpec:
    early = spec.prune is not None and spec.prune.recovery == "rewind" and spec.prune.rewind_epoch > 0

    def short(recipe: Recipe, epochs: int = 1) -> Recipe:
        lr = min(recipe.lr, STEP)
        return replace(recipe, epochs=epochs, lr=lr, batch_size=size(recipe), milestones=(), warmup_epochs=0)

    prune = spec.prune
    if prune is not None:
        rounds = targets(prune)
        prune = replace(
            prune,
            ratio=rounds[-1],
            schedule="linear",
            rounds=min(2, len(rounds)),
            recipe=short(prune.recipe),
            rewind_epoch=min(1, prune.rewind_epoch),
        )
    teacher = replace(spec.teacher, recipe=short(spec.teacher.recipe, 2 if early else 1))
    return replace(
        spec,
        teacher=teacher,
        prune=prune,
        student=replace(spec.student, start=spec.student.start and prune),
        distill=replace(spec.distill, recipe=short(spec.distill.recipe)),
    )


def _from_scratch(spec: TrialSpec) -> TrialSpec:
    """Return a trial whose teacher begins with random weights: those from elsewhere are tried by themselves."""
    options = without_weights(spec.teacher.model, spec.teacher.options)
    bare = replace(
        spec.teacher, options=options, checkpoint=None, fingerprint="", checkpoint_key="", head="keep"
    )
    return replace(spec, teacher=bare)


def _recipes(spec: TrialSpec) -> list[Recipe]:
    return [spec.teacher.recipe, spec.distill.recipe, *([spec.prune.recipe] if spec.prune else [])]


def _smallest(recipe: Recipe, data: Dataset) -> int:
    return min(FEW, *sizes(recipe, data))


def _smallest_of_all(spec: TrialSpec, data: Dataset) -> int:
    return min(_smallest(recipe, data) for recipe in _recipes(spec))


def _is_smaller(found: Teacher, network: nn.Module) -> bool:
    """Return whether a teacher's channels were removed, so that its feature maps are others."""
    return sum(w.numel() for w in found.model.parameters()) < sum(w.numel() for w in network.parameters())
