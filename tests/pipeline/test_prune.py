"""Every round is pruned once, shared by the chains it is part of, and as sparse after recovery as before."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, nn

from pdsearch.artifacts import Store
from pdsearch.data.dataset.dataset import Dataset
from pdsearch.models import count_params, models, torchvision
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import views
from pdsearch.pipeline.keys import dense_key, round_keys
from pdsearch.pipeline.networks import Teacher, blank, measure_accuracy
from pdsearch.pipeline.prune import Pruning, balanced, recipe_after, scoring_batches, teacher
from pdsearch.pruning import prunable, targets
from pdsearch.pruning.select import SCOPES
from pdsearch.specs import TeacherSpec, TrialSpec, derive_seed
from pdsearch.training.fit import fit, towards
from tests.own_code import Author
from tests.pipeline.digits import (
    DENSE,
    MOVING,
    RECIPE,
    SPEC,
    counted,
    data,
    facts,
    finish,
    pruned,
    run,
    site,
    stored,
)
from tests.some import some


def built(spec: TrialSpec, at: WorkerContext) -> Teacher:
    network: Teacher = finish(teacher(spec, data(spec, at), at))[1]
    return network


def zeros(network: Teacher) -> int:
    weights = dict(network.model.named_parameters())
    return sum(int((weights[name] == 0).sum()) for name in some(network.mask))


def test_every_round_is_trained_once_for_all_chains(
    here: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = counted(monkeypatch)
    built(SPEC, here)
    assert trained == [0, 1] * 3  # The dense teacher and two rounds.
    built(pruned(ratio=0.2), here)
    built(SPEC, here)
    assert len(trained) == 6
    built(pruned(ratio=0.49), here)
    assert len(trained) == 8
    assert here.account.epochs == {"teacher": 2, "prune": 6}


def test_the_last_round_at_hand_is_all_that_is_loaded(here: WorkerContext, tmp_path: Path) -> None:
    built(SPEC, here)
    other = site(tmp_path)
    built(SPEC, other)
    assert [use.stage for use in other.account.uses] == ["data", "prune"]


@pytest.mark.parametrize("recovery", ["lr_rewind", "finetune", "rewind", "none"])
@pytest.mark.parametrize("scope", SCOPES)
def test_recovery_keeps_the_sparsity_to_the_weight(here: WorkerContext, recovery: str, scope: str) -> None:
    spec = pruned(recovery=recovery, scope=scope)
    network = built(spec, here)
    mask = some(network.mask)
    assert zeros(network) == mask.total - mask.remaining
    assert network.meta["remaining"] == mask.remaining
    assert network.meta["sparsity"] == mask.sparsity
    assert abs(mask.sparsity - targets(spec.prune)[-1]) < 0.01  # type: ignore[arg-type]
    if scope != "layer":
        assert mask.total - mask.remaining == round(targets(spec.prune)[-1] * mask.total)  # type: ignore[arg-type]


def test_a_round_prunes_within_the_round_before(here: WorkerContext) -> None:
    drawn = pruned(method="random")  # Scores that do not know what is gone.
    first, second = built(pruned(drawn, ratio=0.2), here), built(drawn, here)
    before, after = some(first.mask), some(second.mask)
    for name, mask in after.items():
        assert not (mask & ~before[name]).any()
    assert after.remaining < before.remaining


def test_without_recovery_the_remaining_weights_are_the_dense_teacher_s(here: WorkerContext) -> None:
    none, dense = built(pruned(ratio=0.2, recovery="none"), here), built(DENSE, here)
    for name, keep in some(none.mask).items():
        weight = dict(none.model.named_parameters())[name]
        assert torch.equal(weight, dict(dense.model.named_parameters())[name] * keep)
    assert none.meta["epochs"] == 0


def test_published_weights_are_asked_for_once_for_each_thing_that_is_made_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def build(*, num_classes: int, channels: int, image_size: int, weights: str = "none") -> nn.Module:
        asked.extend([weights] * (weights != "none"))
        found = models.get("convnet_s")(num_classes=num_classes, channels=channels, image_size=image_size)
        nn.init.constant_(found.get_parameter("classifier.weight"), float(len(weights)))
        return found

    monkeypatch.setattr(torchvision, "builder", lambda _: build)
    published = TeacherSpec("torchvision/small", 0, RECIPE, options=(("weights", "DEFAULT"),))

    def made(number: int, **fields: Any) -> list[str]:
        spec = replace(pruned(**fields), teacher=published)
        built(spec, WorkerContext(Store(tmp_path / "artifacts"), tmp_path / str(number)))
        return asked

    assert made(0, recovery="finetune") == ["DEFAULT"]  # For the teacher.
    assert made(1, recovery="rewind") == ["DEFAULT"] * 2  # For what is gone back to.
    assert made(2, at="init") == made(3, recovery="rewind", ratio=0.2) == ["DEFAULT"] * 2
    rewound = built(
        replace(pruned(recovery="rewind", recipe=replace(RECIPE, lr=1e-45)), teacher=published),
        site(tmp_path),
    )
    assert set(rewound.model.get_parameter("classifier.weight").flatten().tolist()) <= {0.0, 7.0}


LONGER = replace(RECIPE, epochs=3, milestones=(2,), ema=0.9)


def rewinding(epoch: int, **fields: Any) -> TrialSpec:
    """A chain of two rounds that goes back to an epoch and does not train, so that its weights can be seen."""
    untrained = replace(RECIPE, epochs=1, lr=1e-45)
    spec = pruned(recovery="rewind", rewind_epoch=epoch, recipe=untrained, **fields)
    return replace(spec, teacher=replace(spec.teacher, recipe=LONGER))


def after(epochs: int, at: WorkerContext) -> dict[str, torch.Tensor]:
    """The teacher's weights after some epochs of its training, watched from outside."""
    spec, images = rewinding(0), data(SPEC, at)
    model = blank("convnet_s", (), images, spec.teacher.seed)
    seed = derive_seed(spec.teacher.seed, "teacher")
    seen = views(images, augment="none", stream=derive_seed(seed, "views"), site=at)
    training = fit(
        model,
        views=seen,
        objective=towards(seen.targets),
        recipe=LONGER,
        seed=seed,
        evaluate=lambda _: 0.5,
        engine=at.engine("fp32"),
    )
    for _ in range(epochs):
        next(training)
    return {name: tensor.clone() for name, tensor in model.named_parameters()}


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_weights_go_back_to_an_early_epoch_to_the_bit(here: WorkerContext, epoch: int) -> None:
    network, early = built(rewinding(epoch), here), after(epoch, here)
    mask, weights = some(network.mask), dict(network.model.named_parameters())
    for name, keep in mask.items():
        assert torch.equal(weights[name], early[name] * keep)
        assert bool((early[name] != 0).all())  # So that no weight of the mask is zero by itself.
    assert zeros(network) == mask.total - mask.remaining


def test_channels_that_are_left_have_their_early_weights(here: WorkerContext) -> None:
    network = built(rewinding(1, method="filter_l1", schedule="one_shot", ratio=0.5), here)
    early = after(1, here)
    for name, keep in some(network.mask).items():
        found = dict(network.model.named_parameters())[name]
        assert torch.equal(found.flatten(), early[name][keep])


def test_a_teacher_that_is_there_stays_and_its_first_epochs_are_trained_once(
    here: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = replace(DENSE, teacher=replace(DENSE.teacher, recipe=LONGER))
    built(dense, here)
    trained = counted(monkeypatch)
    built(rewinding(1), here)
    built(rewinding(1, ratio=0.49), here)
    assert here.account.epochs == {"teacher": 3 + 1, "prune": 3}
    assert trained == [0] * 4
    assert dense_key(dense) == dense_key(rewinding(1))
    assert len({round_keys(rewinding(epoch)) for epoch in (0, 1, 2)}) == 3


def test_early_weights_that_were_cut_off_are_the_same(tmp_path: Path) -> None:
    built(rewinding(2), site(tmp_path / "whole"))
    cut = site(tmp_path / "cut", checkpoint_s=0.0)
    stage = teacher(rewinding(2), data(SPEC, cut), cut)
    for _ in range(5):  # The dense teacher's three epochs, the note of the first round, and an early epoch.
        next(stage)
    stage.close()
    built(rewinding(2), site(tmp_path / "cut"))
    assert stored(tmp_path / "cut") == stored(tmp_path / "whole")


def test_at_init_no_dense_teacher_is_trained(here: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = counted(monkeypatch)
    spec = pruned(at="init")
    network = built(spec, here)
    assert trained == [0, 1]
    assert [use.stage for use in here.account.uses] == ["data", "prune"]
    assert zeros(network) == network.mask.total - network.mask.remaining  # type: ignore[union-attr]
    initial = dict(blank("convnet_s", (), data(spec, here), 0).named_parameters())["classifier.weight"]
    assert not torch.equal(dict(network.model.named_parameters())["classifier.weight"], initial)


DRAWN = """
import random
import numpy as np
import torch

def drawn(model, batches, generator, params):
    layers = model.named_parameters()
    return {name: torch.rand_like(p) + random.random() + float(np.random.rand()) for name, p in layers}
"""


@pytest.mark.parametrize("method", ["magnitude", "random", "snip", "drawn"])
def test_the_result_does_not_depend_on_what_was_cached(tmp_path: Path, author: Author, method: str) -> None:
    method = f"{author.write(DRAWN)}:drawn" if method == "drawn" else method
    spec = pruned(MOVING, method=method)
    fresh, warm, cold = (site(tmp_path / name) for name in ("fresh", "warm", "fresh"))
    built(spec, fresh)
    built(pruned(spec, ratio=0.2), warm)
    built(DENSE, warm)
    built(spec, site(tmp_path / "warm"))
    name = f"prune/{round_keys(spec)[-1]}"
    assert stored(tmp_path / "fresh")[name] == stored(tmp_path / "warm")[name]
    network = built(spec, cold)
    assert (
        measure_accuracy(network.model, data(spec, cold), "val", cold, "fp32") == network.meta["val_accuracy"]
    )


def test_the_dense_teacher_stays_as_it_was(here: WorkerContext) -> None:
    dense = built(DENSE, here)
    before = {name: tensor.clone() for name, tensor in dense.model.state_dict().items()}
    built(SPEC, here)
    for name, tensor in dense.model.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("fields", [{}, {"schedule": "cosine", "milestones": ()}, {"warmup_epochs": 1}])
def test_fine_tuning_takes_the_last_rate_of_the_recipe(fields: dict[str, Any]) -> None:
    recipe = replace(some(SPEC.prune).recipe, **fields)
    spec = pruned(recovery="finetune", recipe=recipe)
    found = some(recipe_after(spec, some(spec.prune), 1))
    expected = 0.05 * (0.01 if recipe.schedule == "cosine" else recipe.gamma ** len(recipe.milestones))
    assert (found.lr, found.schedule, found.milestones, found.warmup_epochs) == (expected, "step", (), 0)


CHANNELS = pruned(
    replace(SPEC, teacher=replace(SPEC.teacher, model="convnet_m")), method="filter_l1", ratio=0.5
)


def pruning(spec: TrialSpec, images: Dataset, here: WorkerContext) -> Pruning:
    return Pruning(spec, some(spec.prune), images, here)


RECOVERIES = ("lr_rewind", "rewind", "none")


@pytest.mark.parametrize("recovery", RECOVERIES)
def test_a_smaller_teacher_is_the_same_when_it_is_read_back(
    here: WorkerContext, tmp_path: Path, recovery: str
) -> None:
    spec = pruned(CHANNELS, recovery=recovery)
    images = data(spec, here)
    _, first = finish(teacher(spec, images, here))
    other = site(tmp_path)
    _, second = finish(teacher(spec, data(spec, other), other))
    assert second is not first
    mask = some(first.mask)
    assert mask == second.mask
    told = [first.meta[name] for name in ("remaining", "prunable", "sparsity", "round")]
    assert told == [mask.remaining, mask.total, mask.sparsity, 3]
    assert mask.remaining == sum(weight.numel() for weight in prunable(first.model).values())
    assert count_params(first.model) < count_params(blank("convnet_m", (), images, 0)) / 2
    seen = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first.model.eval()(seen), second.model(seen))


def test_a_student_shaped_by_a_smaller_teacher_has_its_widths(here: WorkerContext) -> None:
    spec = replace(CHANNELS, student=replace(CHANNELS.student, model="from_teacher"))
    known = facts(run(spec, here)[0])
    _, shape = finish(teacher(spec, data(spec, here), here))
    assert known.student.params == count_params(shape.model) != some(known.teacher).params


def test_classes_take_turns_for_as_long_as_they_last() -> None:
    labels = torch.tensor([0] * 6 + [1] * 3 + [2] * 2)
    order = balanced(labels, Generator().manual_seed(0))
    assert sorted(order.tolist()) == list(range(11))
    turns = labels[order].tolist()
    assert [sorted(turns[:3]), sorted(turns[3:6]), sorted(turns[6:8])] == [[0, 1, 2], [0, 1, 2], [0, 1]]
    assert turns[8:] == [0] * 3


def test_a_method_sees_as_many_of_every_digit(here: WorkerContext) -> None:
    images = data(SPEC, here)
    ((seen, labels),) = scoring_batches(SPEC, images, here)
    assert seen.shape == (len(images.train), 1, 8, 8)
    counts = labels[:30].bincount(minlength=10)
    assert counts.tolist() == [3] * 10
