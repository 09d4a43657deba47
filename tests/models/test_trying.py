import pytest
import torch

from pdsearch.errors import ConfigError
from pdsearch.models import models
from pdsearch.models.registry import try_options
from pdsearch.specs import Params
from tests.own_code import Author


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
