import dataclasses

import pytest
import torch
from torch import Generator, nn

from pdsearch.pruning import select
from pdsearch.pruning.methods.nm import NmParams, score_nm
from pdsearch.pruning.registry import methods, refusals
from pdsearch.specs import PruneSpec, Recipe
from tests.pruning.kept import kept_in

SPEC = PruneSpec(method="nm", ratio=0.5, recipe=Recipe(epochs=1, lr=0.1), schedule="one_shot", scope="layer")


@pytest.mark.parametrize(("keep", "group"), [(2, 4), (1, 4), (4, 8)])
def test_every_group_keeps_its_largest(keep: int, group: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(16, 6, 3), nn.Linear(8, 5))
    scores = score_nm(net, (), Generator(), NmParams(keep, group))
    mask = select(scores, sparsity=1 - keep / group, scope="layer")
    for name, kept in mask.items():
        weight = net.get_parameter(name).detach().abs()
        rows = weight.movedim(1, -1).reshape(-1, group)
        marks = kept.movedim(1, -1).reshape(-1, group)
        assert bool((marks.sum(1) == keep).all())
        for row, mark in zip(rows, marks, strict=True):
            assert float(row[mark].min()) >= float(row[~mark].max())


def test_tied_weights_still_fill_the_pattern() -> None:
    linear = nn.Linear(8, 3)
    nn.init.ones_(linear.weight)
    mask = select(score_nm(linear, (), Generator(), NmParams()), sparsity=0.5, scope="layer")["weight"]
    assert mask.tolist() == [[True, True, False, False] * 2] * 3
    nn.init.zeros_(linear.weight)
    mask = select(score_nm(linear, (), Generator(), NmParams()), sparsity=0.5, scope="layer")["weight"]
    assert mask.tolist() == [[True, True, False, False] * 2] * 3


def test_a_layer_that_does_not_fit_reaches_the_ratio_without_the_pattern() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    mask = select(score_nm(net, (), Generator(), NmParams()), sparsity=0.5, scope="layer")
    assert kept_in(mask) == {"0.weight": 54, "1.weight": 72}


def test_its_one_ratio_follows_from_the_pattern() -> None:
    assert refusals(SPEC, methods.get("nm")) == []
    assert refusals(dataclasses.replace(SPEC, ratio=0.75, params=(("keep", 1),)), methods.get("nm")) == []
    for changes, hint in (
        ({"ratio": 0.6}, "use prune.ratio: 0.5"),
        ({"schedule": "geometric"}, "use prune.schedule: one_shot"),
        ({"scope": "global"}, "use prune.scope: layer"),
        ({"params": (("keep", 4),)}, "keeps 4 of 4"),
    ):
        assert hint in str(refusals(dataclasses.replace(SPEC, **changes), methods.get("nm"))[0])
