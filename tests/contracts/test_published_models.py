"""Families of torchvision, and one network of each of timm's, are built, trained a step, stored and loaded."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torchvision.models
from torch import nn
from torch.nn import functional
from torchvision.models.regnet import BlockParams

from pdsearch.errors import ConfigError
from pdsearch.models import Network, build, fit_weights, load_tensors, state_tensors
from pdsearch.models.registry import usual_size

NAMES = torchvision.models.list_models(module=torchvision.models)
WEIGHTS = {name: torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"] for name in NAMES}
LIGHT = 6e6
MODULES: dict[str, list[str]] = {}
for _name in sorted(NAMES, key=WEIGHTS.__getitem__):
    MODULES.setdefault(torchvision.models.get_model_builder(_name).__module__, []).append(_name)
ENDS = sorted({end for names in MODULES.values() for end in (names[0], names[-1])})
"""The smallest and the largest of each family: those between them are the same code with other numbers."""
TRAINED = [
    "convnext_tiny",
    "inception_v3",
    "swin_t",
    *(name for name in NAMES if WEIGHTS[name] < LIGHT or name.startswith("mnasnet")),
]
SMALL = {"inception_v3": 75}
"""Image sizes of those that want more than 32 pixels."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def on_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """RegNet computes its widths with tensors, which need values."""
    count: Callable[..., Any] = BlockParams.from_init_params

    def counted(*given: Any, **named: Any) -> Any:
        with torch.device("cpu"):
            return count(*given, **named)

    monkeypatch.setattr(BlockParams, "from_init_params", counted)


@pytest.mark.usefixtures("on_meta")
@pytest.mark.parametrize("name", ENDS)
def test_each_shows_logits_and_features_at_the_size_it_was_published_for(name: str) -> None:
    size = usual_size(f"torchvision/{name}")
    with torch.device("meta"):
        model = made(f"torchvision/{name}", size).eval()
        logits, features = model.logits_and_features(torch.zeros(2, 3, size, size))
    assert logits.shape == (2, 5)
    stages = [maps for name, maps in features.items() if name != "pooled"]
    assert stages
    assert all(maps.dim() == 4 for maps in stages)
    sides = [maps.shape[-1] for maps in stages]
    assert sides == sorted(sides, reverse=True)
    assert features["pooled"].dim() == 2


def made(name: str, size: int, seed: int = 0) -> Network:
    model = build(name, num_classes=5, input_shape=(3, size, size), seed=seed)
    assert isinstance(model, Network)
    return model


@pytest.mark.parametrize("name", TRAINED)
def test_each_light_one_is_trained_a_step_stored_and_loaded(name: str) -> None:
    model = trained_a_step(f"torchvision/{name}", SMALL.get(name, 32))
    assert all(weight.grad is not None for weight in model.parameters())


def trained_a_step(name: str, size: int) -> Network:
    model, images = (
        made(name, size),
        torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0)),
    )
    # Batch norm over one position of four images makes gradients that no larger step survives.
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    functional.cross_entropy(model.train()(images), torch.arange(4)).backward()
    optimizer.step()
    other = made(name, size, seed=1).eval()
    load_tensors(other, state_tensors(model))
    with torch.no_grad():
        answer, (logits, _) = model.eval()(images), other.logits_and_features(images)
    assert bool(answer.isfinite().all())
    assert torch.equal(answer, logits)
    return model


TIMM = [
    "convnext_atto",
    "deit_tiny_distilled_patch16_224",
    "dla34",
    "efficientnet_b0",
    "levit_128s",
    "mixer_s32_224",
    "mobilenetv3_small_050",
    "regnety_002",
    "repvgg_a0",
    "resnet10t",
    "swin_s3_tiny_224",
    "vit_tiny_patch16_224",
]


@pytest.mark.parametrize("name", TIMM)
def test_one_of_each_family_of_timm_answers_as_timm_has_it(name: str) -> None:
    ours, images = trained_a_step(f"timm/{name}", 64).eval(), torch.randn(1, 3, 64, 64)
    about = timm.get_pretrained_cfg(name)
    assert about is not None
    size: dict[str, Any] = {"img_size": 64} if about.fixed_input_size else {}
    theirs: nn.Module = timm.create_model(name, num_classes=5, **size)
    fit_weights(ours, ours.own_names(theirs.state_dict()), where="timm")  # type: ignore[operator]
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs.eval()(images))
        assert [key for key in ours.features(images) if key.startswith("stage")]


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("torchvision/inception_v3", 64, "it needs images of 75 pixels or more, not 64"),
        ("torchvision/alexnet", 32, "it needs images of 63 pixels or more, not 32"),
        ("torchvision/vit_b_16", 40, "it takes images of a multiple of 16 pixels, not 40"),
        ("torchvision/maxvit_t", 32, "it takes images of a multiple of 224 pixels, not 32"),
        ("timm/efficientformer_l1", 64, "it was made for images of 224 pixels, not 64"),
    ],
)
def test_an_image_size_that_does_not_fit_is_one_reason_and_a_way_out(name: str, size: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        made(name, size)
    assert "data.options.image_size" in str(caught.value.hint)
