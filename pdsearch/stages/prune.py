"""The pruned teacher: round by round, each round an artifact, so that chains share whatever they have in common."""

import copy
from collections.abc import Generator
from dataclasses import replace

import torch
from torch import Generator as Random
from torch import nn

from pdsearch.data import Dataset
from pdsearch.events import Progress
from pdsearch.pruning import Mask, prune, targets
from pdsearch.pruning.registry import Batches, methods
from pdsearch.specs import Json, PruneSpec, Recipe, TrialSpec, derive_seed
from pdsearch.stages.data import views
from pdsearch.stages.fitting import Fitting, fit_teacher
from pdsearch.stages.keys import round_keys
from pdsearch.stages.networks import Network, blank, measure, network, packed
from pdsearch.stages.obtain import Made, obtain
from pdsearch.stages.site import Site
from pdsearch.stages.teacher import dense_teacher

__all__ = ["teacher"]

_BATCHES, _BATCH_SIZE = 4, 128
_COSINE_TAIL = (
    0.01  # A cosine ends at zero, where nothing is learned: fine-tuning takes a hundredth of its start.
)


def teacher(spec: TrialSpec, data: Dataset, site: Site) -> Generator[Progress, None, Network]:
    """Return the teacher of a trial, dense or pruned, computing only the rounds that nobody has."""
    keys, kept = round_keys(spec), _kept_rounds(spec)
    found = (number for number in reversed(kept) if site.store.find("prune", keys[number - 1]))
    done = next(found, 0)
    before = None if done else (yield from _start(spec, data, site))
    for number in (number for number in kept if number >= done):
        first = max((earlier for earlier in kept if earlier < number), default=0) + 1
        before = yield from _rounds(spec, data, site, first, number, before)
    assert before is not None
    return before


def _kept_rounds(spec: TrialSpec) -> list[int]:
    """Return the rounds whose networks are artifacts: those that train, and the last.

    Pruning again costs less than storing what lies between.
    """
    number = len(round_keys(spec))
    if spec.prune is None or (spec.prune.at == "trained" and spec.prune.recovery != "none"):
        return list(range(1, number + 1))
    return [number]


def _start(spec: TrialSpec, data: Dataset, site: Site) -> Generator[Progress, None, Network]:
    """Return what the first round starts from: the dense teacher, or its untrained weights."""
    if spec.prune is None or spec.prune.at == "trained":
        return (yield from dense_teacher(spec, data, site))
    return Network("", _untrained(spec, data), None, {})


def _rounds(
    spec: TrialSpec, data: Dataset, site: Site, first: int, last: int, before: Network | None
) -> Generator[Progress, None, Network]:
    """Return the network after round `last`: pruned from `first` on, then trained."""
    key = round_keys(spec)[last - 1]

    def make() -> Generator[Progress, None, Made]:
        assert before is not None
        assert spec.prune is not None
        model, mask = copy.deepcopy(before.model), before.mask
        for number in range(first, last + 1):
            yield Progress("prune", f"{spec.prune.method} round {number} of {len(targets(spec.prune))}")
            mask = _pruned(model, spec, data, site, number, mask)
        assert mask is not None
        counts: dict[str, Json] = {
            "sparsity": mask.sparsity,
            "remaining": mask.remaining,
            "prunable": mask.total,
        }
        meta = yield from _recovered(model, mask, spec, data, site, last, key)
        return Made(packed(model, mask), {**meta, **counts, "round": last})

    entry = yield from obtain(site, "prune", key, make)
    return network(entry, spec, data, site)


def _recovered(
    model: nn.Module, mask: Mask, spec: TrialSpec, data: Dataset, site: Site, number: int, key: str
) -> Generator[Progress, None, dict[str, Json]]:
    """Train a pruned network as its round asks, and return what is known of it."""
    asked: PruneSpec = spec.prune  # type: ignore[assignment]
    recipe = _recipe(spec, number)
    if recipe is None:
        return {"val_accuracy": measure(model, data, "val", site, spec.precision), "epochs": 0}
    fitting = Fitting(spec, data, site, stage="prune", key=key)
    note = f"{asked.method} round {number} of {len(targets(asked))}"
    seed = derive_seed(spec.teacher.seed, "prune", number)
    return (yield from fit_teacher(fitting, model, note=note, recipe=recipe, seed=seed, mask=mask))


def _pruned(
    model: nn.Module, spec: TrialSpec, data: Dataset, site: Site, number: int, within: Mask | None
) -> Mask:
    """Prune a network in place for a round and return its mask."""
    asked: PruneSpec = spec.prune  # type: ignore[assignment]
    method = methods.get(asked.method)
    mask = prune(
        model,
        method=method,
        params=method.params(**dict(asked.params)),
        batches=_batches(spec, data, site) if method.needs_data else (),
        generator=Random().manual_seed(derive_seed(spec.teacher.seed, "scores", asked.method, number)),
        sparsity=targets(asked)[number - 1],
        scope=asked.scope,
        within=within,
        exclude=asked.exclude,
    )
    if asked.recovery == "rewind":
        model.load_state_dict(_untrained(spec, data).state_dict())
    mask.apply(model)
    return mask


def _recipe(spec: TrialSpec, number: int) -> Recipe | None:
    """Return how a round trains after pruning; None if it does not."""
    asked: PruneSpec = spec.prune  # type: ignore[assignment]
    if asked.at == "init":
        return spec.teacher.recipe if number == len(targets(asked)) else None
    if asked.recovery == "none":
        return None
    if asked.recovery == "finetune":
        # The last learning rate of the recipe, constant (Renda et al., 2020, section 2).
        recipe = asked.recipe
        steps = recipe.gamma ** len(recipe.milestones)
        last = recipe.lr * (steps if recipe.schedule == "step" else _COSINE_TAIL)
        return replace(recipe, lr=last, milestones=(), schedule="step", warmup_epochs=0)
    return asked.recipe


def _batches(spec: TrialSpec, data: Dataset, site: Site) -> Batches:
    """Return the images that data-dependent methods score with: a fixed draw, not augmented."""
    seen = views(data, augment="none", stream=0, site=site)
    random = Random().manual_seed(derive_seed(spec.teacher.seed, "batches"))
    order = torch.randperm(len(seen), generator=random)[: _BATCHES * _BATCH_SIZE]
    return [(seen.batch(0, index), seen.labels[index]) for index in order.split(_BATCH_SIZE)]


def _untrained(spec: TrialSpec, data: Dataset) -> nn.Module:
    return blank(spec.teacher.model, spec.teacher.options, data, spec.teacher.seed)
