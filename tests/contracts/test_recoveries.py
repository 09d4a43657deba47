"""Every method with each schedule and recovery it goes with: as sparse after recovery as before, to the weight."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.prune import teacher
from pdsearch.pruning import prunable, targets
from pdsearch.pruning.registry import KNOWN, SCHEDULES, methods, refusals
from pdsearch.pruning.select import removed_count
from pdsearch.specs import PruneSpec, TrialSpec
from tests.pipeline.digits import SPEC, data, finish, site

SHORT = replace(SPEC.teacher.recipe, epochs=1, milestones=(), batch_size=40, weight_decay=5e-2)
TAUGHT = replace(SPEC, teacher=replace(SPEC.teacher, recipe=SHORT), data=replace(SPEC.data, subset=60))
EVERY = [
    *({"schedule": s, "recovery": r} for s, r in zip(SCHEDULES, KNOWN["recovery"], strict=True)),
    *({"schedule": "geometric", "recovery": recovery} for recovery in KNOWN["recovery"][1:]),
    # At initialisation nothing recovers round by round: the teacher's own training follows the last.
    *({"schedule": schedule, "at": "init"} for schedule in SCHEDULES),
    {"scope": "layer"},
    *({"scope": "layer", "schedule": "one_shot", "recovery": recovery} for recovery in KNOWN["recovery"]),
]


def asked(name: str, **fields: Any) -> PruneSpec:
    """A pruning of two rounds, or of one where the schedule has one, to the method's own ratio if it has one."""
    entry = methods.get(name)
    ratio = 0.36 if entry.ratio is None else entry.ratio(entry.params())
    return PruneSpec(method=name, ratio=ratio, recipe=SHORT, **{"rounds": 2, **fields})


def sensible(name: str) -> list[PruneSpec]:
    """What the method goes with, by its own word."""
    every = [asked(name, **fields) for fields in EVERY]
    return [pruning for pruning in every if not refusals(pruning, methods.get(name))]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> WorkerContext:
    """One store for all, so that the dense teacher is trained once."""
    folder: Path = tmp_path_factory.mktemp("recoveries")
    return site(folder)


@pytest.mark.parametrize("name", sorted(methods))
def test_recovery_keeps_the_sparsity_to_the_weight(name: str, shared: WorkerContext) -> None:
    combinations = sensible(name)
    assert combinations, "a method that goes with nothing"
    for pruning in combinations:
        spec: TrialSpec = replace(TAUGHT, prune=pruning)
        network: Any = finish(teacher(spec, data(spec, shared), shared))[1]
        weights, meta = prunable(network.model), network.meta
        assert (
            sum(weight.numel() - int((weight == 0).sum()) for weight in weights.values()) == meta["remaining"]
        )
        if methods.get(name).structured:
            assert not any(bool((weight == 0).any()) for weight in weights.values()), pruning
            continue
        ratio = targets(pruning)[-1] if methods.get(name).removes else 0.0
        parts = [weights.values()] if pruning.scope == "global" else [[weight] for weight in weights.values()]
        for part in parts:
            gone = sum(int((weight == 0).sum()) for weight in part)
            assert gone == removed_count(sum(weight.numel() for weight in part), ratio), pruning
