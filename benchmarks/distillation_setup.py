"""The setup that benchmarks of distillation share: one data set, one pair of networks, one recipe."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.minimal_loop import ByHand
from benchmarks.paper_style import PaperStyle, Pictures
from pdsearch.artifacts import Store
from pdsearch.data.dataset.dataset import Dataset, Split, from_tensors, store, to_meta
from pdsearch.data.dataset.views import normalise
from pdsearch.data.registry import sources
from pdsearch.models import evaluating
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import views
from pdsearch.pipeline.distill import TeacherLogits, distillation_objective, student_with_adapter
from pdsearch.pipeline.networks import Teacher, blank
from pdsearch.pipeline.stage_training import Fitting
from pdsearch.specs import DataSpec, DistillSpec, Recipe, StudentSpec, TeacherSpec, TrialSpec
from pdsearch.training.checkpoint import EpochReport
from pdsearch.training.fit import towards

MANY_EPOCHS = 100_000
LR = 0.05


@dataclass(frozen=True)
class Scene:
    """What is distilled into what, from which images.

    Args:
        data: The images.
        spec: The trial.
        padding: Pixels of random crops; 0 for none.
        flip: Whether half of the images are mirrored.
        folder: For artifacts and checkpoints.
        device: "cpu" or "cuda".
    """

    data: Dataset
    spec: TrialSpec
    padding: int
    flip: bool
    folder: Path
    device: str = "cpu"

    def ours(
        self, *, limit: int = 20 * 2**30, key: int | None = None, graphs: bool = True
    ) -> Generator[EpochReport, None, None]:
        """Return our training of the student; with a limit of 0 the teacher runs live in every epoch.

        Args:
            limit: For stored outputs, in bytes.
            key: Names the checkpoint; trainings that run at once need different ones.
            graphs: Whether a GPU's steps may be captured.
        """
        site = self.site(limit)
        site.graphs = graphs
        seen = views(self.data, augment=self.spec.data.augment, stream=0, site=site)
        student = site.engine(self.spec.precision).place(self.student())
        teacher = self.network(site)
        name = f"{key if key is not None else 0 if limit else 1:064d}"
        yield from Fitting(self.spec, self.data, site, stage="distill", key=name).run(
            student_with_adapter(self.spec, self.data, teacher, student, site),
            seen=seen,
            objective=distillation_objective(self.spec, self.data, teacher, seen, site),
            recipe=self.spec.distill.recipe,
            seed=0,
        )

    def teacher_alone(self) -> Generator[EpochReport, None, None]:
        """Return the teacher's own training, as a dense teacher's or a pruned one's recovery."""
        site = self.site(0)
        seen = views(self.data, augment=self.spec.data.augment, stream=1, site=site)
        yield from Fitting(self.spec, self.data, site, stage="teacher", key="2" * 64).run(
            site.engine(self.spec.precision).place(self.teacher()),
            seen=seen,
            objective=towards(seen.targets),
            recipe=self.spec.distill.recipe,
            seed=0,
        )

    def store_logits(self, epochs: int) -> None:
        """Let the teacher answer the views of the first epochs, and store what it says."""
        site = self.site(20 * 2**30)
        seen = views(self.data, augment=self.spec.data.augment, stream=0, site=site)
        stored = TeacherLogits(self.spec, self.network(site), seen, self.data.num_classes, site)
        for epoch in range(epochs):
            stored.rows(epoch, torch.zeros(1, dtype=torch.int64, device=self.device))

    def paper_style(self, *, workers: int = 0) -> PaperStyle:
        """Return the usual loop."""
        train, val = self.data.train, self.data.val
        return PaperStyle(
            self.student(),
            self.teacher(),
            Pictures(train.images, train.labels, padding=self.padding, flip=self.flip),
            Pictures(val.images, val.labels),
            batch_size=self.spec.distill.recipe.batch_size,
            lr=LR,
            device=self.device,
            workers=workers,
        )

    def by_hand(self, *, precision: str) -> ByHand:
        """Return the shortest loop, in a precision."""
        engine = self.site(0).engine(precision)
        images, val = (engine.images(self._normalised(part)) for part in (self.data.train, self.data.val))
        teacher = engine.place(self.teacher())
        with evaluating(teacher), engine.autocast():
            logits = torch.cat([teacher(batch) for batch in images.split(500)])
        return ByHand(
            engine.place(self.student()),
            images,
            self.data.train.labels.to(self.device),
            logits,
            val,
            self.data.val.labels.to(self.device),
            padding=self.padding,
            flip=self.flip,
            batch_size=self.spec.distill.recipe.batch_size,
            lr=LR,
            precision=precision,
        )

    def site(self, limit: int) -> WorkerContext:
        """Return a place to work with a limit for stored outputs."""
        return WorkerContext(
            Store(self.folder / "artifacts"),
            self.folder / "progress",
            device=self.device,
            outputs_limit_bytes=limit,
        )

    def student(self) -> nn.Module:
        """Return an untrained student."""
        return blank(self.spec.student.model, (), self.data, 1)

    def teacher(self) -> nn.Module:
        """Return a teacher; its weights do not matter here."""
        return blank(self.spec.teacher.model, (), self.data, 0).eval()

    def network(self, site: WorkerContext) -> Teacher:
        """Return the teacher as the stages hold it."""
        model = site.engine(self.spec.precision).place(self.teacher())
        return Teacher("0" * 64, model, None, {"val_accuracy": 0.0})

    def _normalised(self, part: Split) -> Tensor:
        return normalise(part.images, self.data.mean, self.data.std)


def digits(folder: Path, precision: str, *, student: str, augment: str) -> Scene:
    """Return the embedded digits and a teacher of 170k weights; "crop" shifts them by up to a pixel."""
    data = DataSpec(source="digits", val_fraction=0.2, augment=augment)
    spec = _spec(data, "convnet_l", student, precision)
    padding = 1 if augment == "crop" else 0
    raw, file = sources.get("digits").read(data), folder / "digits.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    store(raw, data, file)
    return Scene(from_tensors(load_file(file), to_meta(raw.classes)), spec, padding, False, folder)


def cifar_shaped(
    folder: Path,
    precision: str,
    *,
    images: int,
    teacher: str,
    student: str,
    classes: int = 10,
    device: str = "cpu",
    batch_size: int = 128,
) -> Scene:
    """Return noise in the shape of CIFAR, an eighth of it for validation; random crops and flips."""
    random = torch.Generator().manual_seed(0)
    train, val = (
        Split(
            torch.randint(0, 256, (n, 3, 32, 32), generator=random, dtype=torch.uint8),
            torch.randint(0, classes, (n,), generator=random),
        )
        for n in (images, max(1, images // 9))
    )
    mean, std = torch.full((3,), 127.5), torch.full((3,), 64.0)
    data = Dataset(train, val, val, tuple(map(str, range(classes))), mean, std)
    spec = _spec(DataSpec(source="noise", augment="crop_flip"), teacher, student, precision, batch_size)
    return Scene(data, spec, 4, True, folder, device)


def _spec(data: DataSpec, teacher: str, student: str, precision: str, batch_size: int = 128) -> TrialSpec:
    recipe = Recipe(epochs=MANY_EPOCHS, lr=LR, batch_size=batch_size, weight_decay=5e-4)
    return TrialSpec(
        data,
        TeacherSpec(teacher, 0, recipe),
        StudentSpec(student),
        DistillSpec(recipe, params=(("alpha", 0.9), ("temperature", 4.0))),
        precision=precision,
    )
