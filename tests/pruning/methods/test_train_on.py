"""Nothing is removed, and the rounds train as those of a pruned teacher do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pdsearch.pipeline.data import views
from pdsearch.pipeline.prune import teacher
from pdsearch.pipeline.teacher import dense_teacher
from pdsearch.specs import PruneSpec, derive_seed
from pdsearch.training.device import Engine
from pdsearch.training.fit import fit, towards
from tests.pipeline.digits import RECIPE, SPEC, data, finish, site

CONTROL = PruneSpec(method="train_on", ratio=0.36, recipe=RECIPE)


def test_its_rounds_are_plain_training_with_the_seeds_of_pruned_ones(tmp_path: Path) -> None:
    here = site(tmp_path)
    spec = replace(SPEC, prune=CONTROL)
    images = data(spec, here)
    control: Any = finish(teacher(spec, images, here))[1]
    model = finish(dense_teacher(spec, images, here))[1].model
    for number in (1, 2):
        seed = derive_seed(spec.teacher.seed, "prune", number)
        seen = views(images, augment="none", stream=derive_seed(seed, "views"), site=here)
        objective = towards(seen.targets)
        rounds: dict[str, Any] = {"recipe": RECIPE, "seed": seed, "engine": Engine()}
        for _ in fit(model, views=seen, objective=objective, evaluate=lambda _: 0.5, **rounds):
            pass
    expected = model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in control.model.state_dict().items())
    assert (control.meta["sparsity"], control.meta["round"]) == (0.0, 2)
