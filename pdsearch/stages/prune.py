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
    keys = round_keys(spec)
    done = next((n for n in range(len(keys), 0, -1) if site.store.find("prune", keys[n - 1])), 0)
    if done == 0:
        before = yield from _start(spec, data, site)
    for number in range(max(done, 1), len(keys) + 1):
        before = yield from _round(spec, data, site, number, None if number == done else before)
    return before


def _start(spec: TrialSpec, data: Dataset, site: Site) -> Generator[Progress, None, Network]:
    """Return what the first round starts from: the dense teacher, or its untrained weights."""
    if spec.prune is None or spec.prune.at == "trained":
        return (yield from dense_teacher(spec, data, site))
    return Network("", _untrained(spec, data), None, {})


def _round(
    spec: TrialSpec, data: Dataset, site: Site, number: int, before: Network | None
) -> Generator[Progress, None, Network]:
    key = round_keys(spec)[number - 1]

    def make() -> Generator[Progress, None, Made]:
        assert before is not None
        assert spec.prune is not None
        model = copy.deepcopy(before.model)
        mask = _pruned(model, spec, data, site, number, before.mask)
        recipe = _recipe(spec, number)
        meta: dict[str, Json]
        if recipe is None:
            meta = {"val_accuracy": measure(model, data, "val", site, spec.precision), "epochs": 0}
        else:
            fitting = Fitting(spec, data, site, stage="prune", key=key)
            note = f"{spec.prune.method} round {number} of {len(targets(spec.prune))}"
            seed = derive_seed(spec.teacher.seed, "prune", number)
            meta = yield from fit_teacher(fitting, model, note=note, recipe=recipe, seed=seed, mask=mask)
        counts: dict[str, Json] = {
            "sparsity": mask.sparsity,
            "remaining": mask.remaining,
            "prunable": mask.total,
        }
        return Made(packed(model, mask), {**meta, **counts, "round": number})

    entry = yield from obtain(site, "prune", key, make)
    return network(entry, spec, data, site)


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
