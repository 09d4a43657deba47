"""Networks by name: options, own ones, and what cannot be built."""

from typing import Any

import pytest
import torch

from pdsearch.errors import ConfigError
from pdsearch.models import build, models
from pdsearch.models.registry import try_options
from pdsearch.specs import Params
from tests.own_code import NETS, Author

LAZY = """
from torch import nn


def lazy(*, num_classes, channels, image_size):
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(num_classes))
"""


def test_lazy_layers_get_their_weights_from_the_seed(author: Author) -> None:
    name = f"{author.write(LAZY)}:lazy"
    one, same, other = (build(name, num_classes=2, input_shape=(3, 8, 8), seed=seed) for seed in (0, 0, 1))
    assert one.training
    assert torch.equal(one[3].weight, same[3].weight)  # type: ignore[index]
    assert not torch.equal(one[3].weight, other[3].weight)  # type: ignore[index]


@pytest.mark.parametrize("name", ["resnet19", "raft_large"])
def test_torchvision_networks_that_do_not_fit_are_refused(name: str) -> None:
    assert f"torchvision/{name}" not in models
    with pytest.raises(ConfigError, match=name):
        build(f"torchvision/{name}", num_classes=7, input_shape=(3, 64, 64), seed=0)


def test_a_callable_of_one_s_own_is_built_from_the_seed(author: Author) -> None:
    name = f"{author.write()}:flat"
    sizes: dict[str, Any] = {"num_classes": 3, "input_shape": (1, 4, 4)}
    before = torch.get_rng_state()
    one, same, other = (build(name, seed=seed, options=(("width", 5),), **sizes) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert one(torch.zeros(2, 1, 4, 4)).shape == (2, 3)
    weights = [model.state_dict()["1.weight"] for model in (one, same, other)]
    assert weights[0].shape == (5, 16)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert name in models
    assert name not in models.names()


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 4, 6), (7,)])
def test_a_builder_is_given_only_the_sizes_that_it_names(author: Author, shape: tuple[int, ...]) -> None:
    model = build(f"{author.write()}:small", num_classes=3, input_shape=shape, seed=0)
    assert model(torch.zeros(2, *shape)).shape == (2, 3)


@pytest.mark.parametrize(
    ("attribute", "options", "said"),
    [
        ("flat", (("wdith", 3),), r"has no option 'wdith'\n  -> its options: width"),
        ("blind", (), "cannot build a model: got an unexpected keyword argument 'num_classes'"),
        ("wrong", (), "returns a int, not a module of torch"),
        ("flot", (), "did you mean 'flat'"),
    ],
)
def test_what_is_no_builder_is_refused(
    author: Author, attribute: str, options: tuple[tuple[str, int], ...], said: str
) -> None:
    name = f"{author.write()}:{attribute}"
    with pytest.raises(ConfigError, match=said):
        build(name, num_classes=3, input_shape=(1, 4, 4), seed=0, options=options)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("vgg19_bn", (), "vgg19_bn: it needs images of 16 pixels or more, not 8"),
        ("convnet_s", (("widths", (4, 0)),), "options.widths: convnet_s: no layer has 0 channels"),
        ("convnet_s", (("widths", "ab"),), "convnet_s cannot be built with widths: ab: TypeError: "),
        (
            "X:flat",
            (("width", -1),),
            "X:flat cannot be built with width: -1: RuntimeError: .*negative dimension -1",
        ),
        ("X:torn", (), "X:torn cannot be built: ZeroDivisionError: no reason given"),
    ],
)
def test_what_cannot_be_built_is_one_message_that_names_it(
    author: Author, name: str, options: Params, said: str
) -> None:
    module = author.write(
        f"{NETS}\n\ndef torn(*, num_classes, channels, image_size):\n    raise ZeroDivisionError\n"
    )
    with pytest.raises(ConfigError, match=f"^{said.replace('X:', f'{module}:')}"):
        build(name.replace("X:", f"{module}:"), num_classes=3, input_shape=(1, 8, 8), seed=0, options=options)


def test_a_builder_that_finds_no_memory_says_so_itself(author: Author) -> None:
    module = author.write("def large(*, num_classes, channels, image_size):\n    raise MemoryError\n")
    with pytest.raises(MemoryError):
        build(f"{module}:large", num_classes=3, input_shape=(1, 8, 8), seed=0)


def test_a_builder_that_takes_any_option_gets_it(author: Author) -> None:
    name = f"{author.write()}:Shaped"
    options = (("anything", 1), ("widths", (2, 3)))
    model = build(name, num_classes=3, input_shape=(1, 8, 8), seed=0, options=options)
    assert model.get_parameter("second.weight").shape == (3, 2, 3, 3)


def test_a_builder_that_takes_the_input_s_shape_gets_it(author: Author) -> None:
    name = f"{author.write()}:line"
    assert build(name, num_classes=3, input_shape=(2, 16), seed=0)(torch.zeros(5, 2, 16)).shape == (5, 3)
    assert build(name, num_classes=3, input_shape=(7,), seed=0)(torch.zeros(5, 7)).shape == (5, 3)


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("convnet_s", (2, 16), r"convnet_s takes images \(C, H, W\), not inputs of shape \(2, 16\)"),
        ("convnet_s", (30,), r"convnet_s takes images .* \(30,\)\n  -> a model .* takes input_shape"),
        (
            "X:flat",
            (1, 8, 6),
            r"X:flat takes image_size, one number.* \(1, 8, 6\)\n  -> let it take input_shape",
        ),
    ],
)
def test_a_network_for_images_refuses_other_inputs(
    author: Author, name: str, shape: tuple[int, ...], said: str
) -> None:
    module = author.write()
    with pytest.raises(ConfigError, match=said.replace("X:", f"{module}:")):
        build(name.replace("X:", f"{module}:"), num_classes=3, input_shape=shape, seed=0)


def test_our_own_take_images_that_are_not_square() -> None:
    assert build("resnet8", num_classes=3, input_shape=(1, 8, 20), seed=0)(
        torch.zeros(2, 1, 8, 20)
    ).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("wrn_16_2", (("widths", (4, 4)),), "options.widths: wrn_16_2: 2 widths, 4 needed"),
        ("resnet8", (("depth", 21),), "options.depth: resnet8: no network has depth 21"),
        ("convnet_s", (("widths", (4, -1)),), "options.widths: convnet_s: no layer has -1 channels"),
        ("resnet8", (("shortcut", "pda"),), "options.shortcut: resnet8: no shortcut 'pda'"),
        (
            "torchvision/resnet18",
            (("weights", "NOPE"),),
            "options.weights: torchvision/resnet18 has no weights",
        ),
    ],
)
def test_options_of_which_no_network_can_be_built_are_refused(name: str, options: Params, said: str) -> None:
    with pytest.raises(ConfigError, match=f"^{said}"):
        try_options(name, options)


def test_options_that_fit_are_let_through_without_a_trace(author: Author) -> None:
    before = torch.get_rng_state()
    try_options("convnet_s", (("widths", (2,) * 9),))  # Nine stages want large images.
    try_options("torchvision/resnet18", (("weights", "DEFAULT"),))
    try_options(f"{author.write('def torn(**all): raise ValueError')}:torn", (("width", 3),))
    for name in models:
        try_options(name, ())
    assert torch.equal(torch.get_rng_state(), before)
