"""First space file of a data set: look at the data, propose networks and sizes, write it with comments."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pdsearch.errors import ConfigError, DataError
from pdsearch.input_spec import InputSpec
from pdsearch.io.durable import from_home
from pdsearch.specs import DataSpec, Params

if TYPE_CHECKING:
    from pdsearch.search.planning.disk import DataShape

MOST_LOOKED_AT = 500
MANY = 2000
"""Training images of which a tenth is enough for validation."""
MOST_NAMED = 5
SIZES = (16, 24, 32, 48, 64, 96, 128, 160, 192, 224)
PUBLISHED = {
    "cifar-10-binary.tar.gz": "cifar10",
    "cifar-10-batches-bin": "cifar10",
    "cifar-100-binary.tar.gz": "cifar100",
    "cifar-100-binary": "cifar100",
    "train_32x32.mat": "svhn",
    "stl10_binary.tar.gz": "stl10",
    "stl10_binary": "stl10",
    "tiny-imagenet-200": "tiny_imagenet",
}
"""Files and folders by which a downloaded set is recognised."""


@dataclass(frozen=True)
class Found:
    """A data set as `init` found it.

    Args:
        data: Source, root and options of the `data` section.
        shape: Classes, channels, size, and images of both parts.
        has_test: Whether it has test images of its own.
        notes: What there is to say about it.
    """

    data: DataSpec
    shape: "DataShape"
    has_test: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Budget:
    """How much is trained: epochs of teacher and student, of recovery, search trials, finalists and their seeds.

    Args:
        methods: Choices of `prune.method`.
        ratios: Choices of `prune.ratio`.
        subset: Training images; None takes all.
    """

    epochs: int
    recover: int
    trials: int
    teachers: int
    seeds: int
    methods: str = "[none, magnitude]"
    ratios: str = "[0.36, 0.59, 0.79]"
    subset: int | None = None


BUDGETS = (
    Budget(160, 60, 60, 5, 5),
    Budget(120, 40, 40, 5, 5),
    Budget(80, 30, 40, 5, 5),
    Budget(60, 20, 32, 4, 5),
    Budget(40, 15, 24, 3, 5),
    Budget(30, 10, 20, 3, 4),
    Budget(20, 8, 16, 3, 3),
    Budget(12, 5, 12, 3, 3),
    Budget(8, 3, 10, 2, 3),
    Budget(5, 2, 8, 2, 2),
)
"""From the largest to the smallest; the first that fits into the hours is taken."""
SMOKE = Budget(2, 1, 3, 1, 2, methods="[magnitude]", ratios="[0.36]")


def inspect_data(name: str, image_size: int | None, *, gpu: bool) -> Found:
    """Return what a data set is: a folder or file of images, a published set's name, or a function of one's own.

    Args:
        name: As the user gave it.
        image_size: Pixels to resize to; None proposes a size where the images need one.
        gpu: Whether a GPU will train.

    Raises:
        ConfigError: There is no such set.
        DataError: Images are broken, or the folder is laid out otherwise; the message names the files.
    """
    data = _section(name)
    if data.source == "image_folder":
        image_size = _image_size(from_home(name), image_size, gpu=gpu)
    size: Params = () if image_size is None else (("image_size", image_size),)
    return _read(replace(data, options=(*data.options, *size)))


def _section(name: str) -> DataSpec:
    from pdsearch.data.registry import sources

    path = from_home(name)
    if path.exists():
        inside = [path] if path.is_file() else sorted(path.iterdir())
        known = [PUBLISHED[item.name] for item in inside if item.name in PUBLISHED]
        if known and path.is_dir():
            return DataSpec(known[0], root=name)
        if path.suffix == ".parquet" or any(item.suffix == ".parquet" for item in inside):
            return DataSpec("parquet", root=name if path.is_dir() else str(Path(name).parent))
        if path.is_file():
            raise ConfigError(
                "a file that no source reads", where=name, hint="name a folder or a .parquet file"
            )
        return DataSpec("image_folder", root=name)
    if ":" in name and "/" not in name:
        return DataSpec("callable", options=(("function", name),))
    if name in sources.names():
        return DataSpec(name, root=None if name == "digits" else "data")
    hint = f"name a folder of images, package.module:function, or one of {', '.join(sources.names())}"
    raise ConfigError("no such folder, file or data set", where=name, hint=hint)


def _image_size(root: Path, asked: int | None, *, gpu: bool) -> int | None:
    """Return the pixels to resize to, where the images need it; read a sample of them to the last pixel."""
    from PIL import Image

    from pdsearch.data.readers.decode import decode_images
    from pdsearch.data.readers.encoded import read_file
    from pdsearch.data.readers.labelled_files import is_image

    files = [path for path in sorted(root.rglob("*")) if is_image(path) and not path.name.startswith(".")]
    sizes, broken = [], []
    for path in files[:: max(1, len(files) // MOST_LOOKED_AT)]:
        try:
            decode_images([(read_file(path), str(path))], grey=False, size=(8, 8), crop=True)
        except DataError as error:
            broken.append(str(error.where or path))
            continue
        with Image.open(path) as image:
            sizes.append(image.size)
    if broken:
        shown = ", ".join(broken[:MOST_NAMED]) + (", ..." if broken[MOST_NAMED:] else "")
        what = f"{len(broken)} of {len(sizes) + len(broken)} images looked at cannot be read: {shown}"
        raise DataError(what, where=str(root), hint="move them out of the folder, or mend them; then again")
    if asked is not None or not sizes:
        return asked
    shorter = int(statistics.median(min(size) for size in sizes))
    most = 128 if gpu else 64
    if len(set(sizes)) == 1 and len(set(sizes[0])) == 1 and shorter <= most:
        return None
    return max(side for side in SIZES if side <= max(SIZES[0], min(shorter, most)))


def _read(data: DataSpec) -> Found:
    from pdsearch.data.registry import sources
    from pdsearch.search.planning.disk import DataShape, known_images

    known = known_images(data)
    if known is not None:
        return Found(data, known, True, ())
    try:
        has_test, raw = True, sources.get(data.source).read(data)
    except (ConfigError, DataError) as error:
        if "test_fraction" not in str(error):
            raise
        has_test, raw = False, sources.get(data.source).read(replace(data, test_fraction=0.2))
    train, test = len(raw.train_labels), len(raw.test_labels)
    if not has_test and not test:
        train, test = int(train * 0.8), train - int(train * 0.8)
    return Found(data, DataShape(len(raw.classes), raw.inputs, train, test), has_test, raw.notes)


def starting_networks(inputs: InputSpec, *, gpu: bool) -> tuple[str, str] | tuple[None, None]:
    """Return a teacher and a student to start with; None where only the user knows networks for such inputs."""
    if not inputs.is_map:
        return None, None
    if inputs.side < 16:
        return "convnet_l", "convnet_s"
    if inputs.side > 96:
        return "torchvision/resnet18", "torchvision/mobilenet_v3_small"
    return ("resnet32x4", "resnet8x4") if gpu else ("resnet20", "resnet8")


def written(
    found: Found, study: str, teacher: str, student: str, budget: Budget, *, gpu: bool, head: Sequence[str]
) -> str:
    """Return the text of a space file.

    Args:
        found: The data set.
        study: Name of the study.
        teacher: The teacher's network.
        student: The student's.
        budget: How much is trained.
        gpu: Whether a trial has a GPU.
        head: Lines of the comment on top.
    """
    inputs = found.shape.inputs
    flips = inputs.is_image and inputs.channels == 3 and inputs.side >= 24
    augment = "crop_flip" if flips else "crop" if inputs.is_image and inputs.side >= 16 else "none"
    cut = "" if found.has_test else ", test_fraction: 0.2"
    # Of few images, more are needed to tell two students apart: one of 17 is 6 points of accuracy.
    share = 0.1 if (budget.subset or found.shape.train) >= MANY else 0.2
    subset = "" if budget.subset is None else f", subset: {budget.subset}"
    comments = "".join(f"# {line}\n" for line in head)
    batch = _batch(found.shape.train, most=128 if gpu else 64)
    # A rung that halves the weak trials away needs some epochs to tell them apart.
    stop = (
        f", stop: {{halving: {{min_epochs: {budget.epochs // 3}, factor: 3}}}}" if budget.epochs >= 6 else ""
    )
    return f"""\
{comments}study: {study}

# The images; test images are opened at the end only. augment draws another view of each image in every epoch.
data: {{{_flow(found.data)}{cut}, val_fraction: {share}{subset}, augment: {augment}}}

# A registered network (pdsearch list models), torchvision/NAME, or a function of your own: package.module:function.
teacher: {{model: {teacher}}}
student: {{model: {student}}}     # or from_teacher: as small as what pruning leaves

# recover follows each round of pruning.
train:
  teacher: {_recipe(budget.epochs, batch)}
  recover: {_recipe(budget.recover, batch)}
  distill: {_recipe(budget.epochs, batch)}

# What is searched: a list is a choice, low and high are a range. The rest of the keys: docs/space.md.
space:
  prune.method: {budget.methods}               # pdsearch list methods
  prune.ratio: {{choices: {budget.ratios}, when: {{prune.method: [magnitude]}}}}
  distill.temperature: {{low: 1, high: 20, log: true}}
  distill.alpha: {{low: 0.1, high: 1.0}}          # weight of the teacher; the labels have the rest

search: {{trials: {budget.trials}{stop}}}
confirm: {{teachers: {budget.teachers}, seeds: {budget.seeds}}}         # the leading teachers again, with fresh seeds
resources: {{cpu: 1, gpu: {1 if gpu else 0}}}
storage: runs/
"""


def _batch(train: int, *, most: int) -> int:
    """Return a batch size, a power of two, with which an epoch of a small set has some eight steps, too."""
    return max(8, min(most, 2 ** ((train // 8).bit_length() - 1))) if train >= 8 else 8


def _recipe(epochs: int, batch: int) -> str:
    return f"{{epochs: {epochs}, lr: 0.05, schedule: cosine, weight_decay: 5.0e-4, batch_size: {batch}}}"


def _flow(data: DataSpec) -> str:
    """Return the keys of a data section in YAML's flow form, without its braces."""
    import yaml

    given = {"source": data.source, "root": data.root, "options": dict(data.options)}
    values = {key: value for key, value in given.items() if value}
    text: str = yaml.safe_dump(
        values, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True
    )
    return text.strip()[1:-1]
