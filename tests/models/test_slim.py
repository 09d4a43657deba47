import json
from collections.abc import Mapping
from inspect import signature
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pdsearch.models import build
from pdsearch.models.registry import models
from pdsearch.models.width_solver import plan_from_masks, takes_widths
from pdsearch.specs import Params

PLANS = json.loads((Path(__file__).parents[1] / "golden" / "published_plans.json").read_text())
SIZES: dict[str, Any] = {"num_classes": 100, "input_shape": (3, 32, 32)}
LAYERS = (nn.Conv2d, nn.Linear)


def weights(name: str, options: Params = ()) -> dict[str, torch.Size]:
    """Shapes of conv and linear weights, from the network itself."""
    with torch.device("meta"):
        net = build(name, **SIZES, seed=0, options=options)
    return {f"{n}.weight": m.weight.shape for n, m in net.named_modules() if isinstance(m, LAYERS)}


def masks_with(shapes: Mapping[str, torch.Size], kept: Mapping[str, int]) -> dict[str, Tensor]:
    """Masks that keep a given number of each layer's weights."""
    masks = {}
    for name, shape in shapes.items():
        row = torch.zeros(prod(shape), dtype=torch.bool)
        row[: kept[name]] = True
        masks[name] = row.view(shape)
    return masks


def plan(name: str, masks: Mapping[str, Tensor], options: Params = (), **sizes: int) -> Params:
    return plan_from_masks(name, masks, **{**SIZES, **sizes}, options=options)


@pytest.mark.parametrize("ratio", ["36", "59", "79"])
def test_the_published_vgg_plans_come_out_of_the_weights_they_hold(ratio: str) -> None:
    published = PLANS["vgg19_bn"][ratio]
    chain = [3, *published["widths"]]
    teacher = weights("vgg19_bn")
    counts = [9 * a * b for a, b in pairwise(chain)] + [100 * chain[-1]]
    options = plan("vgg19_bn", masks_with(teacher, dict(zip(teacher, counts, strict=True))))
    assert dict(options)["widths"] == tuple(published["widths"])
    assert round(sum(map(prod, weights("vgg19_bn", options).values())) / 1e6, 2) == published["millions"]


def test_the_last_convolution_keeps_its_own_width_whatever_the_classifier() -> None:
    teacher = weights("vgg11_bn")
    kept = {name: prod(shape) for name, shape in teacher.items()}
    kept[list(teacher)[-1]] //= 2
    widths = (64, 128, 256, 256, 512, 512, 512, 512)
    assert dict(plan("vgg11_bn", masks_with(teacher, kept)))["widths"] == widths


def test_channels_are_rounded_from_the_student_so_far() -> None:
    teacher = weights("vgg8_bn")
    first, second, *rest = teacher
    kept = {name: prod(teacher[name]) for name in rest} | {first: 27 * 10 + 13, second: 9 * 10 * 200 + 46}
    widths = dict(plan("vgg8_bn", masks_with(teacher, kept)))["widths"]
    assert widths[:2] == (
        10,
        201,
    )  # 10.48 channels; 9 * 10 weights a channel, more of them than the teacher's 128
    assert widths[2] == round(9 * 128 * 256 / (9 * 201))
    nothing = {name: prod(teacher[name]) for name in teacher} | {second: 0}
    assert dict(plan("vgg8_bn", masks_with(teacher, nothing)))["widths"][1] == 1


def test_an_unpruned_teacher_is_its_own_student() -> None:
    assert plan("vgg8_bn", {}) == (("widths", (64, 128, 256, 512, 512)),)
    assert dict(plan("resnet20", {}))["widths"] == (16, 16, 32, 64)


def test_a_residual_stage_has_the_width_whose_layers_sum_to_what_is_left() -> None:
    """Stage 1 of ResNet-8 with its stem: 27 w + 18 w^2; then 9 w v + 9 v^2 + w v."""
    teacher = weights("resnet8")
    kept = {name: int(prod(shape) * 0.41) for name, shape in teacher.items()}
    a, again, b, c = dict(plan("resnet8", masks_with(teacher, kept)))["widths"]
    assert a == again
    stage1 = [name for name in teacher if name.startswith(("stem", "stages.0"))]
    stage2 = [name for name in teacher if name.startswith("stages.1")]
    for solved, (linear, square), layers in ((a, (27, 18), stage1), (b, (10 * a, 9), stage2)):
        left = sum(kept[name] for name in layers)
        miss = {v: abs(linear * v + square * v * v - left) for v in (solved - 1, solved, solved + 1)}
        assert min(miss, key=lambda v: miss[v]) == solved
    assert b < c


def test_the_teacher_s_layers_stay_though_two_widths_meet_in_it() -> None:
    """A stem narrower than its stage would grow a projection that the teacher does not have."""
    teacher = weights("resnet20")
    kept = {name: prod(shape) // (3 if name.startswith("stem") else 2) for name, shape in teacher.items()}
    options = plan("resnet20", masks_with(teacher, kept))
    assert weights("resnet20", options).keys() == teacher.keys()


SHAPABLE = [name for name in models if "widths" in signature(models.get(name)).parameters]
LARGE = [name for name in SHAPABLE if sum(map(prod, weights(name).values())) >= 1_000_000]


def test_every_family_can_be_shaped() -> None:
    assert sorted(models) == SHAPABLE


@pytest.mark.parametrize("name", LARGE)
def test_the_student_holds_what_is_left_of_the_teacher(name: str) -> None:
    """Within 2 %, for layers of unlike density as global pruning leaves them."""
    teacher = weights(name)
    generator = torch.Generator().manual_seed(0)
    for ratio in (0.36, 0.59, 0.79, 0.9):
        noise = {layer: float(torch.randn((), generator=generator)) for layer in teacher}
        densities = {layer: min(1.0, (1 - ratio) * 1.4 ** noise[layer]) for layer in teacher}
        kept = {layer: int(prod(shape) * densities[layer]) for layer, shape in teacher.items()}
        student = sum(map(prod, weights(name, plan(name, masks_with(teacher, kept))).values()))
        assert student == pytest.approx(sum(kept.values()), rel=0.02), ratio


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("ratio", ["36", "59", "79"])
def test_the_published_residual_plans_come_out_of_the_weights_they_hold(name: str, ratio: str) -> None:
    published = tuple(PLANS[name][ratio]["widths"])
    counts = {layer: prod(shape) for layer, shape in weights(name, (("widths", published),)).items()}
    assert dict(plan(name, masks_with(weights(name), counts)))["widths"] == published


def test_the_teacher_s_own_options_are_kept_and_start_the_plan() -> None:
    own: Params = (("shortcut", "pad"), ("widths", (8, 8, 16, 32)))
    assert plan("resnet20", {}, own) == own


def test_a_mask_of_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no weight 'stem.weight'"):
        plan("vgg8_bn", {"stem.weight": torch.ones(2, dtype=torch.bool)})


def test_a_stem_of_its_own_width_has_one_in_the_student() -> None:
    """In ResNet-8x4 twice the stem's width happens to be the stage's, where the projection would go."""
    teacher = weights("resnet8x4")
    kept = {name: prod(shape) for name, shape in teacher.items()}
    kept[next(iter(teacher))] = 27 * 20
    assert dict(plan("resnet8x4", masks_with(teacher, kept)))["widths"][0] == 20


@pytest.mark.parametrize(
    ("declared", "takes"), [("widths=(8, 16)", True), ("size=8", False), ("widths='small'", False)]
)
def test_only_a_model_with_numbers_for_widths_takes_widths(
    monkeypatch: pytest.MonkeyPatch, declared: str, takes: bool
) -> None:
    build: Any = eval(f"lambda *, num_classes, channels, image_size, {declared}: None")
    monkeypatch.setitem(models._entries, "own", build)
    assert takes_widths("own") is takes
