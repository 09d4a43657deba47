"""The pruning stage: round by round, each round an artifact, so that trials share the rounds they have in common."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Generator as Random
from torch import Tensor, nn

from pdsearch.data.dataset.dataset import Dataset
from pdsearch.errors import ConfigError, TrialError
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
from pdsearch.pipeline.networks import (
    Teacher,
    an_image,
    network,
    network_tensors,
    plain_views,
    untrained,
    validated,
)
from pdsearch.pipeline.stage_training import Fitting, fit_teacher
from pdsearch.pipeline.teacher import dense_teacher, early_teacher
from pdsearch.protocol import Progress
from pdsearch.pruning import (
    Batches,
    Channels,
    Mask,
    find_channels,
    kept_channels,
    prune_once,
    shrink,
    targets,
)
from pdsearch.pruning.registry import PruningMethod, methods
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
from pdsearch.training.device import reproducible

_BATCHES, _BATCH_SIZE = 4, 128


def scoring_batches(spec: TrialSpec, data: Dataset, site: WorkerContext) -> Batches:
    """Return four batches of 128 training images (fewer where there are fewer), not augmented.

    Each is as balanced over the classes as possible, like those of SNIP's and GraSP's authors.
    """
    seen = views(data, augment="none", stream=0, site=site)
    random = Random().manual_seed(derive_seed(spec.teacher.seed, "batches"))
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
    order = balanced(seen.labels.cpu(), Random().manual_seed(0))[: _BATCHES * _BATCH_SIZE]
    return [(seen.batch(0, index), seen.labels[index]) for index in order.split(_BATCH_SIZE)]


def smallest_batch(data: Dataset) -> int:
    """Return the number of images in the smallest scoring batch; it can be one, as a remainder."""
    images = min(len(data.train), _BATCHES * _BATCH_SIZE)
    return images % _BATCH_SIZE or _BATCH_SIZE


def balanced(labels: Tensor, random: Random) -> Tensor:
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


def kept_rounds(asked: PruneSpec) -> list[int]:
    """Return the rounds whose networks are stored: those that train, and the last.

    Repeating the pruning between them costs less than storing the networks.
    """
    number = len(targets(asked))
    if isinstance(asked.after_round, AtInit | NoRecovery):
        return [number]
    return list(range(1, number + 1))


_COSINE_TAIL = 0.01
"""A cosine ends at zero, where nothing is learned: fine-tuning uses a hundredth of its initial rate."""


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


@dataclass(frozen=True)
class Pruning:
    """The pruning of one trial's teacher."""

    spec: TrialSpec
    asked: PruneSpec
    data: Dataset
    site: WorkerContext

    def teacher(self) -> Generator[Progress, None, Teacher]:
        """Return the pruned teacher, computing only the rounds that the store lacks."""
        keys, kept = round_keys(self.spec), kept_rounds(self.asked)
        found = (number for number in reversed(kept) if self.site.store.find("prune", keys[number - 1]))
        done = next(found, 0)
        before = None if done else (yield from self._start())
        for number in (number for number in kept if number >= done):
            first = max((earlier for earlier in kept if earlier < number), default=0) + 1
            before = yield from self._rounds(first, number, before)
        assert before is not None
        return before

    def apply_mask(self, model: nn.Module, mask: Mask, within: Mask | None = None) -> None:
        """Prune a network in place by a mask of the dense network.

        Args:
            model: The network; with structured pruning, the channels that `within` lacks are already removed.
            mask: The weights to keep.
            within: The mask of the previous rounds.
        """
        if not self._method.structured:
            mask.apply(model)
            return
        channels = self._channels()
        before = None if within is None else kept_channels(within, channels.ties)
        shrink(model, channels, kept=kept_channels(mask, channels.ties), before=before)

    def mask_facts(self, mask: Mask) -> tuple[dict[str, Json], Mask | None]:
        """Return a mask's metadata for the artifact, and the mask to store: None if whole channels were removed."""
        counts: dict[str, Json] = {
            "sparsity": mask.sparsity,
            "remaining": mask.remaining,
            "prunable": mask.total,
            "weights": count_params(self._whole()),
        }
        if not self._method.structured:
            return counts, mask
        left = kept_channels(mask, self._channels().ties)
        return {**counts, "kept": {name: list(channels) for name, channels in left.items()}}, None

    def _start(self) -> Generator[Progress, None, Teacher]:
        """Return the first round's input: the dense teacher, or its untrained weights."""
        if isinstance(self.asked.after_round, AtInit):
            return Teacher("", (yield from self._initial()), None, {})
        return (yield from dense_teacher(self.spec, self.data, self.site))

    def _rounds(self, first: int, last: int, before: Teacher | None) -> Generator[Progress, None, Teacher]:
        """Return the network after round `last`: pruned in rounds `first` to `last`, then trained."""
        key = round_keys(self.spec)[last - 1]

        def make() -> Generator[Progress, None, Made]:
            assert before is not None
            model, mask = with_plain_weights(copied(before.model)), before.mask
            origin = yield from self._origin()
            for number in range(first, last + 1):
                yield Progress("prune", self._note(number))
                mask = self._pruned(model, number, mask)
                if origin is not None:
                    self._rewind(model, origin, mask)
            assert mask is not None
            about, zeros = self.mask_facts(mask)
            meta = yield from self._recovered(model, zeros, last, key)
            _check_gone(model, zeros or {})
            return Made(network_tensors(model, zeros), {**meta, **about, "round": last})

        entry = yield from obtain(self.site, "prune", key, make)
        return network(entry, self.spec, self.data, self.site)

    def _recovered(
        self, model: nn.Module, mask: Mask | None, number: int, key: str
    ) -> Generator[Progress, None, dict[str, Json]]:
        """Train a pruned network by its round's recipe, if any, and return its metadata."""
        recipe, spec = recipe_after(self.spec, self.asked, number), self.spec
        if recipe is None:
            return {"val_accuracy": validated(model, self.data, self.site, spec.precision), "epochs": 0}
        fitting = Fitting(spec, self.data, self.site, stage="prune", key=key)
        seed = derive_seed(spec.teacher.seed, "prune", number)
        note = self._note(number)
        return (yield from fit_teacher(fitting, model, note=note, recipe=recipe, seed=seed, mask=mask))

    def _note(self, number: int) -> str:
        return f"{self.asked.method} round {number} of {len(targets(self.asked))}"

    def _pruned(self, model: nn.Module, number: int, within: Mask | None) -> Mask:
        """Prune a network in place for a round and return its mask."""
        method, spec, asked = self._method, self.spec, self.asked
        data, site = self.data, self.site
        seed = derive_seed(spec.teacher.seed, "scores", asked.method, number)
        with reproducible(seed, device=site.device):  # A method of one's own may draw by any generator.
            mask = prune_once(
                model,
                method=method,
                params=make_params(method.params, asked.params, where=f"prune.{asked.method}"),
                batches=scoring_batches(spec, data, site) if method.needs_data or method.structured else (),
                generator=Random().manual_seed(seed),
                sparsity=targets(asked)[number - 1],
                scope=asked.scope,
                within=within,
                exclude=asked.exclude,
                weights=asked.weights,
                round_to=asked.round_to,
                validation=validation_batches(data, site) if asked.scope == "sensitivity" else (),
                whole=site.engine(spec.precision).place(self._whole()) if method.structured else None,
            )
        self.apply_mask(model, mask, within)
        return mask

    def _origin(self) -> Generator[Progress, None, nn.Module | None]:
        """Return the dense network whose weights are restored after pruning; None without rewinding."""
        match self.asked.after_round:
            case Rewind(epoch=0):
                return (yield from self._initial())
            case Rewind(epoch=epoch):
                return (yield from early_teacher(self.spec, self.data, self.site, epoch))
        return None

    def _rewind(self, model: nn.Module, origin: nn.Module, mask: Mask) -> None:
        """Restore the remaining weights of a pruned network to those of its origin."""
        earlier = with_plain_weights(copied(origin))
        self.apply_mask(earlier, mask)
        load_tensors(model, state_tensors(earlier))

    def _initial(self) -> Generator[Progress, None, nn.Module]:
        """Return the teacher before training: random weights, or published ones, stored to be asked for once."""
        teacher = self.spec.teacher
        if dict(teacher.options).get("weights") in (None, "none"):
            return untrained(teacher.model, teacher.options, self.data, teacher.seed, self.site)
        return (yield from early_teacher(self.spec, self.data, self.site, 0))

    @property
    def _method(self) -> PruningMethod:
        return methods.get(self.asked.method)

    def _channels(self) -> Channels:
        return find_channels(self._whole(), an_image(self.data), self.asked.exclude)

    def _whole(self) -> nn.Module:
        """Return the teacher with all its channels, of any weights."""
        teacher = self.spec.teacher
        options = without_weights(teacher.model, teacher.options)
        return with_plain_weights(untrained(teacher.model, options, self.data, teacher.seed, self.site))


def _check_gone(model: nn.Module, mask: Mapping[str, Tensor]) -> None:
    """Refuse a network that wrote into its removed weights, such as one that centres or fuses weights itself.

    Raises:
        TrialError: A weight that the mask lacks is not zero.
    """
    weights = dict(model.named_parameters(remove_duplicate=False))
    for name, keep in mask.items():
        if bool(weights[name].detach().masked_select(~keep.to(weights[name].device)).any()):
            what = f"what was removed of {name} came back: the network's own code writes that weight"
            hint = (
                f"leave it out, prune.exclude: [{name}], or let the network compute with a changed copy of it"
            )
            raise TrialError(what, where="teacher.model", hint=hint)


def teacher(spec: TrialSpec, data: Dataset, site: WorkerContext) -> Generator[Progress, None, Teacher]:
    """Return the teacher of a trial, dense or pruned."""
    if spec.prune is None:
        return (yield from dense_teacher(spec, data, site))
    return (yield from Pruning(spec, spec.prune, data, site).teacher())
