"""Which seeds of a configuration are trained as one network? Those of a confirmation, where that is measured to pay."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch

from pdsearch.data import Dataset
from pdsearch.distillation.registry import losses
from pdsearch.space import Space
from pdsearch.specs import StudentSpec, TrialSpec
from pdsearch.stages.keys import config_key
from pdsearch.stages.obtain import drain
from pdsearch.stages.pace import PAYS, pace, pace_key, possible, told_ratio
from pdsearch.stages.site import Site

__all__ = ["Choice", "Pays", "beside", "can_be", "confirmed"]

AUTO = "auto"

Pays = Callable[[TrialSpec, StudentSpec, int], bool]
"""pays(trial, its student as it is built, number of seeds) -> whether they are trained as one network."""


class Choice:
    """Decides for a space: as it says, or by measurement on this machine, which is taken to be like the workers'.

    Args:
        space: What is searched.
        images: Returns the data set, asked for when something is to be tried.
        site: Where that is tried; its store keeps what was measured.
        say: Tells a person.
    """

    def __init__(
        self, space: Space, images: Callable[[], Dataset], site: Site, say: Callable[[str], None]
    ) -> None:
        self._images, self._say = images, say
        self._wanted = space.confirm.together if space.confirm else False
        self._site: Site | None = site
        if space.resources.gpu > 0:
            # The head of a cluster may have no GPU: nothing can be said of its workers' there.
            there = torch.cuda.is_available()
            self._site = Site(site.store, site.progress, device="cuda") if there else None
        self._decided: dict[tuple[object, ...], bool] = {}

    def pays(self, spec: TrialSpec, shape: StudentSpec, seeds: int) -> bool:
        """Decide, by measuring where nobody has."""
        recipe = spec.distill.recipe
        case = (shape, recipe.batch_size, recipe.optimizer, spec.precision, seeds)
        if not can_be(spec) or self._wanted is False:
            return False
        if case not in self._decided:
            self._decided[case] = self._tried(spec, shape, seeds)
        return self._decided[case]

    def known(self, spec: TrialSpec, shape: StudentSpec, seeds: int) -> bool:
        """Decide by what was measured before; nothing is measured, or said."""
        if self._wanted != AUTO or self._site is None or not can_be(spec):
            return self.pays(spec, shape, seeds)
        key = pace_key(spec, shape, self._images(), self._site, replicas=seeds)
        entry = self._site.store.find("pace", key)
        return entry is not None and told_ratio(entry) >= PAYS

    def _tried(self, spec: TrialSpec, shape: StudentSpec, seeds: int) -> bool:
        if self._wanted != AUTO:
            return possible(shape, self._images())
        if self._site is None:
            return False
        ratio = drain(pace(spec, shape, self._images(), self._site, replicas=seeds))
        if ratio >= PAYS:
            self._say(
                f"{seeds} seeds of {shape.model} are trained as one network:"
                f" {ratio:.1f} times as fast, measured here"
            )
        return ratio >= PAYS


def can_be(spec: TrialSpec) -> bool:
    """Return whether a trial's student could be trained with others: its loss and recipe speak of logits alone."""
    loss, recipe = losses.get(spec.distill.loss), spec.distill.recipe
    plain = not loss.features and loss.adapter is None
    # A best epoch and an average of weights are those of one student; a loss scale would be shared by all.
    return plain and recipe.select == "last" and recipe.ema == 0 and spec.precision != "fp16"


def beside(
    spec: TrialSpec,
    shape: StudentSpec,
    seeds: Sequence[int],
    *,
    recorded: Mapping[str, Iterable[Mapping[str, Any]]],
    pays: Pays,
) -> dict[int, tuple[int, ...]]:
    """Return for each seed those trained with it as one network, its own among them; none where it is alone.

    What was run keeps those it was run with, so that more seeds later add to it and repeat nothing.

    Args:
        spec: The configuration.
        shape: Its student as it is built.
        seeds: To be confirmed.
        recorded: What was run of each configuration before: `distill` of its records' specifications.
        pays: Decides of the others.
    """
    found: dict[int, tuple[int, ...]] = {}
    for distill in recorded.get(config_key(spec), ()):
        replicas = tuple(distill.get("replicas", ()))
        found |= dict.fromkeys(replicas or (distill["seed"],), replicas)
    left = tuple(seed for seed in seeds if seed not in found)
    if len(left) > 1 and pays(spec, shape, len(left)):
        found |= dict.fromkeys(left, left)
    return {seed: found.get(seed, ()) for seed in seeds}


def confirmed(records: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return how the students of each configuration were taught that were confirmed before."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        if record["kind"] == "confirm":
            found.setdefault(record["config"], []).append(record["spec"]["distill"])
    return found
