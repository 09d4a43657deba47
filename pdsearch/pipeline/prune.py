"""The pruning stage: round by round, each round an artifact, so that trials share the rounds they have in common."""

from collections.abc import Generator
from dataclasses import replace

import torch
from torch import Generator as Random
from torch import Generator as RandomGenerator
from torch import Tensor, nn

from pdsearch.data.dataset.dataset import Dataset
from pdsearch.errors import ConfigError
from pdsearch.models import (
    copied,
    count_params,
    load_tensors,
    state_tensors,
    with_plain_weights,
    without_weights,
)
from pdsearch.pipeline.cache import Made, obtain
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import views
from pdsearch.pipeline.keys import round_keys
from pdsearch.pipeline.networks import Teacher, an_image, network, packed, plain_views, untrained, validated
from pdsearch.pipeline.stage_training import Fitting, fit_teacher
from pdsearch.pipeline.teacher import dense_teacher, early_teacher
from pdsearch.protocol import Progress
from pdsearch.pruning import Batches, Channels, Mask, find_channels, kept_channels, prune, shrink, targets
from pdsearch.pruning.registry import methods
from pdsearch.registry import make_params
from pdsearch.specs import (
    AtInit,
    FineTune,
    Json,
    NoRecovery,
    PruneSpec,
    Recipe,
    Rewind,
    TrialSpec,
    derive_seed,
)


def cut(
    model: nn.Module,
    mask: Mask,
    spec: TrialSpec,
    data: Dataset,
    site: WorkerContext,
    within: Mask | None = None,
) -> None:
    """Prune a network in place by a mask of the dense network.

    Args:
        model: The network; with structured pruning, the channels that `within` lacks are already removed.
        mask: The weights to keep.
        spec: The trial, which has pruning.
        data: The data set it is for.
        site: Where it runs.
        within: The mask of the previous rounds.
    """
    if not _structured(spec):
        mask.apply(model)
        return
    channels = _channels(spec, data, site)
    before = None if within is None else kept_channels(within, channels.ties)
    shrink(model, channels, kept=kept_channels(mask, channels.ties), before=before)


def cut_out(
    mask: Mask, spec: TrialSpec, data: Dataset, site: WorkerContext
) -> tuple[dict[str, Json], Mask | None]:
    """Return a mask's metadata for the artifact, and the mask to store: None if whole channels were removed."""
    counts: dict[str, Json] = {
        "sparsity": mask.sparsity,
        "remaining": mask.remaining,
        "prunable": mask.total,
        "weights": count_params(_whole(spec, data, site)),
    }
    if not _structured(spec):
        return counts, mask
    left = kept_channels(mask, _channels(spec, data, site).ties)
    return {**counts, "kept": {name: list(channels) for name, channels in left.items()}}, None


def _structured(spec: TrialSpec) -> bool:
    return spec.prune is not None and methods.get(spec.prune.method).structured


def _channels(spec: TrialSpec, data: Dataset, site: WorkerContext) -> Channels:
    assert spec.prune is not None
    return find_channels(_whole(spec, data, site), an_image(data), spec.prune.exclude)


_BATCHES, _BATCH_SIZE = 4, 128


def scoring_batches(spec: TrialSpec, data: Dataset, site: WorkerContext) -> Batches:
    """Return four batches of 128 training images (fewer where there are fewer), not augmented.

    Each is as balanced over the classes as possible, like those of SNIP's and GraSP's authors.
    """
    seen = views(data, augment="none", stream=0, site=site)
    random = RandomGenerator().manual_seed(derive_seed(spec.teacher.seed, "batches"))
    order = balanced(seen.labels.cpu(), random)[: _BATCHES * _BATCH_SIZE]
    return [(seen.batch(0, index), seen.labels[index]) for index in order.split(_BATCH_SIZE)]


def validation_batches(data: Dataset, site: WorkerContext) -> Batches:
    """Return the validation images on which sensitivity is measured: 512 at most, as balanced over the classes.

    Raises:
        ConfigError: There are none.
    """
    if not len(data.val):
        what = "prune.scope: sensitivity is measured on validation images, and there are none"
        raise ConfigError(what, where="prune.scope", hint="set data.val_fraction, or use another scope")
    seen = plain_views(data, data.val, site)
    order = balanced(seen.labels.cpu(), RandomGenerator().manual_seed(0))[: _BATCHES * _BATCH_SIZE]
    return [(seen.batch(0, index), seen.labels[index]) for index in order.split(_BATCH_SIZE)]


def smallest_batch(data: Dataset) -> int:
    """Return the number of images in the smallest scoring batch; it can be one, as a remainder."""
    images = min(len(data.train), _BATCHES * _BATCH_SIZE)
    return images % _BATCH_SIZE or _BATCH_SIZE


def balanced(labels: Tensor, random: RandomGenerator) -> Tensor:
    """Return the indices of all images in a random order that alternates between classes, int64 (N,).

    Until the smallest class is used up, every contiguous part of it has equally many images of every class, up to one.

    Args:
        labels: int64 (N,), on the CPU.
        random: The only source of randomness.
    """
    order = torch.randperm(len(labels), generator=random)
    turns = torch.zeros_like(order)
    for label in labels.unique():
        members = (labels[order] == label).nonzero().squeeze(1)
        turns[members] = torch.arange(len(members))
    return order[turns.argsort(stable=True)]


_COSINE_TAIL = 0.01
"""A cosine ends at zero, where nothing is learned: fine-tuning uses a hundredth of its initial rate."""


def teacher(spec: TrialSpec, data: Dataset, site: WorkerContext) -> Generator[Progress, None, Teacher]:
    """Return the teacher of a trial, dense or pruned, computing only the rounds that the store lacks."""
    if spec.prune is None:
        return (yield from dense_teacher(spec, data, site))
    keys, kept = round_keys(spec), kept_rounds(spec.prune)
    found = (number for number in reversed(kept) if site.store.find("prune", keys[number - 1]))
    done = next(found, 0)
    before = None if done else (yield from _start(spec, spec.prune, data, site))
    for number in (number for number in kept if number >= done):
        first = max((earlier for earlier in kept if earlier < number), default=0) + 1
        before = yield from _rounds(spec, spec.prune, data, site, first, number, before)
    assert before is not None
    return before


def kept_rounds(asked: PruneSpec) -> list[int]:
    """Return the rounds whose networks are stored: those that train, and the last.

    Repeating the pruning between them costs less than storing the networks.
    """
    number = len(targets(asked))
    if isinstance(asked.after_round, AtInit | NoRecovery):
        return [number]
    return list(range(1, number + 1))


def _start(
    spec: TrialSpec, asked: PruneSpec, data: Dataset, site: WorkerContext
) -> Generator[Progress, None, Teacher]:
    """Return the first round's input: the dense teacher, or its untrained weights."""
    if isinstance(asked.after_round, AtInit):
        return Teacher("", (yield from _initial(spec, data, site)), None, {})
    return (yield from dense_teacher(spec, data, site))


def _rounds(
    spec: TrialSpec,
    asked: PruneSpec,
    data: Dataset,
    site: WorkerContext,
    first: int,
    last: int,
    before: Teacher | None,
) -> Generator[Progress, None, Teacher]:
    """Return the network after round `last`: pruned in rounds `first` to `last`, then trained."""
    key = round_keys(spec)[last - 1]

    def make() -> Generator[Progress, None, Made]:
        assert before is not None
        model, mask = with_plain_weights(copied(before.model)), before.mask
        origin = yield from _origin(spec, asked, data, site)
        for number in range(first, last + 1):
            yield Progress("prune", f"{asked.method} round {number} of {len(targets(asked))}")
            mask = _pruned(model, spec, asked, data, site, number, mask)
            if origin is not None:
                _rewind(model, origin, mask, spec, data, site)
        assert mask is not None
        about, zeros = cut_out(mask, spec, data, site)
        meta = yield from _recovered(model, zeros, spec, asked, data, site, last, key)
        return Made(packed(model, zeros), {**meta, **about, "round": last})

    entry = yield from obtain(site, "prune", key, make)
    return network(entry, spec, data, site)


def _recovered(
    model: nn.Module,
    mask: Mask | None,
    spec: TrialSpec,
    asked: PruneSpec,
    data: Dataset,
    site: WorkerContext,
    number: int,
    key: str,
) -> Generator[Progress, None, dict[str, Json]]:
    """Train a pruned network by its round's recipe, if any, and return its metadata."""
    recipe = recipe_after(spec, asked, number)
    if recipe is None:
        return {"val_accuracy": validated(model, data, site, spec.precision), "epochs": 0}
    fitting = Fitting(spec, data, site, stage="prune", key=key)
    note = f"{asked.method} round {number} of {len(targets(asked))}"
    seed = derive_seed(spec.teacher.seed, "prune", number)
    return (yield from fit_teacher(fitting, model, note=note, recipe=recipe, seed=seed, mask=mask))


def _pruned(
    model: nn.Module,
    spec: TrialSpec,
    asked: PruneSpec,
    data: Dataset,
    site: WorkerContext,
    number: int,
    within: Mask | None,
) -> Mask:
    """Prune a network in place for a round and return its mask."""
    method = methods.get(asked.method)
    mask = prune(
        model,
        method=method,
        params=make_params(method.params, asked.params, where=f"prune.{asked.method}"),
        batches=scoring_batches(spec, data, site) if method.needs_data or method.structured else (),
        generator=Random().manual_seed(derive_seed(spec.teacher.seed, "scores", asked.method, number)),
        sparsity=targets(asked)[number - 1],
        scope=asked.scope,
        within=within,
        exclude=asked.exclude,
        weights=asked.weights,
        validation=validation_batches(data, site) if asked.scope == "sensitivity" else (),
        whole=site.engine(spec.precision).place(_whole(spec, data, site)) if method.structured else None,
    )
    cut(model, mask, spec, data, site, within)
    return mask


def _origin(
    spec: TrialSpec, asked: PruneSpec, data: Dataset, site: WorkerContext
) -> Generator[Progress, None, nn.Module | None]:
    """Return the dense network whose weights are restored after pruning; None without rewinding."""
    match asked.after_round:
        case Rewind(epoch=0):
            return (yield from _initial(spec, data, site))
        case Rewind(epoch=epoch):
            return (yield from early_teacher(spec, data, site, epoch))
    return None


def _rewind(
    model: nn.Module, origin: nn.Module, mask: Mask, spec: TrialSpec, data: Dataset, site: WorkerContext
) -> None:
    """Restore the remaining weights of a pruned network to those of its origin."""
    earlier = with_plain_weights(copied(origin))
    cut(earlier, mask, spec, data, site)
    load_tensors(model, state_tensors(earlier))


def recipe_after(spec: TrialSpec, asked: PruneSpec, number: int) -> Recipe | None:
    """Return the recipe that trains a round's network after pruning; None if it is not trained."""
    match asked.after_round:
        case AtInit():
            return spec.teacher.recipe if number == len(targets(asked)) else None
        case NoRecovery():
            return None
        case FineTune(recipe):
            # The last learning rate of the recipe, constant.
            steps = recipe.gamma ** len(recipe.milestones)
            last = recipe.lr * (steps if recipe.schedule == "step" else _COSINE_TAIL)
            return replace(recipe, lr=last, milestones=(), schedule="step", warmup_epochs=0)
        case recovery:
            return recovery.recipe


def _initial(spec: TrialSpec, data: Dataset, site: WorkerContext) -> Generator[Progress, None, nn.Module]:
    """Return the teacher before training: random weights, or published ones, which are stored to be asked for once."""
    options = spec.teacher.options
    if dict(options).get("weights") in (None, "none"):
        return untrained(spec.teacher.model, options, data, spec.teacher.seed, site)
    return (yield from early_teacher(spec, data, site, 0))


def _whole(spec: TrialSpec, data: Dataset, site: WorkerContext) -> nn.Module:
    """Return the teacher with all its channels, of any weights."""
    options = without_weights(spec.teacher.model, spec.teacher.options)
    return with_plain_weights(untrained(spec.teacher.model, options, data, spec.teacher.seed, site))
