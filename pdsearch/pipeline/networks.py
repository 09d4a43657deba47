"""Networks of a stage: built by name, loaded from artifacts, run for logits and features, evaluated."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pdsearch.artifacts import Entry
from pdsearch.data.dataset.dataset import Dataset, Split
from pdsearch.data.dataset.views import Views
from pdsearch.distillation import FeatureShapes, Outputs, wanted
from pdsearch.errors import TrialError
from pdsearch.models import (
    build,
    constants_of,
    copied,
    copied_whole,
    count_params,
    folded,
    load_constants,
    load_tensors,
    names_and_verb,
    nbytes,
    not_finite,
    state_of,
    state_tensors,
    was_not_finite,
    with_plain_weights,
    without_weights,
)
from pdsearch.models.features import logits_and_features
from pdsearch.pipeline.cache import tensors
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.keys import teacher_config
from pdsearch.protocol import TeacherFacts
from pdsearch.pruning import Mask, rebuild
from pdsearch.records.codec import decode
from pdsearch.specs import Json, Params, TrialSpec
from pdsearch.training.evaluate import check_finite, logits, right

MASK = "mask/"
"""Prefix of the names of masks among the tensors of an artifact."""
CONSTANT = "constant/"
"""Prefix of the names of buffers that a state dict leaves out."""
_LOOK = 100


@dataclass(frozen=True)
class Teacher:
    """A trained teacher. It is shared: copy it before changing its weights.

    Args:
        key: Key of its artifact.
        model: The module, in evaluation mode, on the site's device.
        mask: Pruning mask, in the shapes of the dense network; None for a dense one. If whole channels were removed,
            the module is smaller than the mask.
        meta: Metadata of its stage: val_accuracy (None without validation images), epochs, seconds.
    """

    key: str
    model: nn.Module
    mask: Mask | None
    meta: Mapping[str, Json]

    def facts(self, spec: TrialSpec) -> TeacherFacts:
        """Return its facts for the record of a trial."""
        measured = {
            name: self.meta[name] for name in ("prunable", "remaining", "sparsity") if name in self.meta
        }
        names = ("method", "ratio", "schedule", "recovery", "scope", "at") if spec.prune else ()
        facts = {
            "key": self.key,
            "config": teacher_config(spec),
            "model": spec.teacher.model,
            "seed": spec.teacher.seed,
            "val_accuracy": self.meta["val_accuracy"],
            "params": self.meta.get("weights") or count_params(self.model),
            "rounds": self.meta.get("round", 0),
            **measured,
            **{name: getattr(spec.prune, name) for name in names},
        }
        return decode(TeacherFacts, facts)


def blank(name: str, options: Params, data: Dataset, seed: int) -> nn.Module:
    """Return an untrained network for a data set."""
    return build(
        name,
        num_classes=data.num_classes,
        input_shape=data.inputs.shape,
        seed=seed,
        options=options,
    )


def untrained(name: str, options: Params, data: Dataset, seed: int, site: WorkerContext) -> nn.Module:
    """Return an untrained network, the caller's own; a site builds each one once, if a copy is as good."""
    built: list[nn.Module] = []

    def make() -> tuple[nn.Module | None, int]:
        built.append(blank(name, options, data, seed))
        size = nbytes(built[0])
        return (None, 0) if copied_whole(built[0]) is None else (built[0], size)

    shape = (data.num_classes, *data.inputs.shape)
    kept = site.kept.get(("untrained", name, repr(options), repr(shape), str(seed)), make)
    if kept is not None:
        return copied(kept)
    return built[0] if built else blank(name, options, data, seed)


def an_image(data: Dataset) -> Tensor:
    """Return a batch of one input of a data set's shape, all zeros, to trace networks with."""
    return torch.zeros(1, *data.inputs.shape)


def network(entry: Entry, spec: TrialSpec, data: Dataset, site: WorkerContext) -> Teacher:
    """Return the teacher stored in an artifact, from the site's cache if it is there."""

    def make() -> tuple[Teacher, int]:
        name = spec.teacher.model
        options, stored = without_weights(name, spec.teacher.options), tensors(entry)
        model = untrained(name, options, data, spec.teacher.seed, site)
        if not stored.keys() >= model.state_dict().keys():
            with_plain_weights(model)  # As it was before it was pruned.
        kept = entry.meta.get("kept")
        left = _restored(model, kept, spec, data) if isinstance(kept, dict) else None
        mask = load_weights(model, stored, where=str(entry.folder)) or left
        model.eval()
        site.engine(spec.precision).place(model)
        return Teacher(entry.key, model, mask, entry.meta), nbytes(model)

    return site.kept.get(("network", entry.key), make)


def answering(teacher: Teacher, site: WorkerContext, precision: str) -> nn.Module:
    """Return a teacher for inference: folded, so that all its outputs come from the same computation."""

    def make() -> tuple[nn.Module, int]:
        model = site.engine(precision).place(folded(teacher.model))
        return model, nbytes(model)

    return site.kept.get(("answering", teacher.key, precision), make)


def _restored(model: nn.Module, kept: Mapping[str, Json], spec: TrialSpec, data: Dataset) -> Mask:
    """Remove from an untrained network the channels that an artifact lacks; return the corresponding mask."""
    channels = {name: tuple(left) for name, left in kept.items() if isinstance(left, list)}
    exclude = spec.prune.exclude if spec.prune else ()
    return rebuild(model, an_image(data), kept=channels, exclude=exclude)  # type: ignore[arg-type]  # JSON's ints


def network_tensors(model: nn.Module, mask: Mask | None = None) -> dict[str, Tensor]:
    """Return a network's weights, its constants and its mask as the tensors of one artifact."""
    constants = {f"{CONSTANT}{name}": tensor for name, tensor in constants_of(model).items()}
    masks = {} if mask is None else {f"{MASK}{name}": tensor for name, tensor in mask.items()}
    return {**state_tensors(model), **constants, **masks}


def load_network_tensors(model: nn.Module, named: Mapping[str, Tensor]) -> Mask | None:
    """Load the tensors of an artifact, or of an export, into a network of that shape; return the mask, if there is one.

    Raises:
        RuntimeError: They do not fit the network.
    """
    masks = {name.removeprefix(MASK): tensor for name, tensor in named.items() if name.startswith(MASK)}
    load_tensors(model, {name: t for name, t in named.items() if not name.startswith((MASK, CONSTANT))})
    load_constants(model, {name.removeprefix(CONSTANT): tensor for name, tensor in named.items()})
    return Mask(masks) if masks else None


def load_weights(model: nn.Module, named: Mapping[str, Tensor], *, where: str = "") -> Mask | None:
    """Load an artifact's weights into a network and return its mask, if it has one.

    Raises:
        TrialError: A weight is not finite: an earlier version stored a training that diverged.
    """
    constants = was_not_finite(model)
    mask = load_network_tensors(model, named)
    wrong = not_finite(state_of(model), but=constants)
    if wrong:
        hint = (
            "a version that did not look stored it: remove the folder to make it anew, or change the recipe"
        )
        raise TrialError(f"{names_and_verb(wrong)} not finite in the artifact", where=where, hint=hint)
    return mask


def measure_accuracy(
    model: nn.Module, data: Dataset, part: str, site: WorkerContext, precision: str
) -> float:
    """Return a network's accuracy on "val" or "test", in [0, 1]."""
    found = answers_right(model, data, part, site, precision)
    return float(found.sum()) / len(found)


def answers_right(model: nn.Module, data: Dataset, part: str, site: WorkerContext, precision: str) -> Tensor:
    """Return which images of "val" or "test" a network gets right: bool (N,)."""
    split: Split = getattr(data, part)

    def make() -> tuple[tuple[Split, Views], int]:
        # The split is cached too, so that its id cannot be reused by another one while these views exist.
        return (split, plain_views(data, split, site)), split.images.nbytes

    _, seen = site.kept.get(("seen", part, str(id(split))), make)
    kind = {"val": "validation"}.get(part, part)
    return right(model, seen, split.labels, engine=site.engine(precision), kind=kind)


def validated(model: nn.Module, data: Dataset, site: WorkerContext, precision: str) -> float | None:
    """Return a network's accuracy on the validation images, in [0, 1]; None where there are none.

    Raises:
        TrialError: Its outputs are not finite; without validation images, this is checked on some training images.
    """
    if len(data.val):
        return measure_accuracy(model, data, "val", site, precision)
    some = Split(data.train.images[:_LOOK], data.train.labels[:_LOOK], data.train.crop)
    check_finite(logits(model, plain_views(data, some, site), engine=site.engine(precision)), "training")
    return None


def plain_views(data: Dataset, split: Split, site: WorkerContext) -> Views:
    """Return the images of a split for evaluation, without augmentation."""
    return Views(split, mean=data.mean, std=data.std, augment="none", stream=0, device=site.device)


def outputs(
    model: nn.Module, images: Tensor, features: tuple[str, ...], layers: tuple[str, ...] = ()
) -> Outputs:
    """Run a network; outputs are float32, since softmax and divergence lose too much precision in 16 bits.

    Args:
        model: The network; if features are requested, one that provides them (`check_shows_features`).
        images: Normalised, on the network's device.
        features: Names or patterns of the requested features; if empty, only logits are returned.
        layers: Names of the layers whose outputs are the stages; if empty, those that the network shows.

    Raises:
        ConfigError: The network has no feature or layer of a requested name.
    """
    if not features:
        return Outputs(model(images).float())
    logits, maps = logits_and_features(model, images, layers)
    return Outputs(logits.float(), {name: maps[name].float() for name in wanted(features, maps)})


def shapes(said: Outputs) -> FeatureShapes:
    """Return the shapes of one image's features, by name."""
    return {name: tuple(maps.shape[1:]) for name, maps in said.features.items()}
