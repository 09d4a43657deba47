"""Methods by name, the weights they may remove, and masks."""

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from pdsearch.errors import ConfigError
from pdsearch.pruning import Mask, PruningMethod, prunable, prune_once
from pdsearch.pruning.prunable import makers, shares
from pdsearch.pruning.registry import SCHEDULES, methods, refusals
from pdsearch.registry import NoParams
from pdsearch.specs import PruneSpec, Recipe
from tests.own_code import Author
from tests.pruning.kept import kept_in


def test_conv_and_linear_weights_in_module_order(net: nn.Module) -> None:
    found = prunable(net)
    assert list(found) == ["0.weight", "3.weight", "7.weight"]
    assert found["0.weight"] is net.get_parameter("0.weight")
    shared = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    shared[1].weight = shared[0].weight
    assert list(prunable(shared)) == ["0.weight"], "a shared weight counts once"


def test_a_fixed_filter_has_channels_and_no_weights_to_prune() -> None:
    fixed = nn.Linear(3, 3)
    del fixed.weight
    fixed.register_buffer("weight", torch.eye(3))
    net = nn.Sequential(nn.Linear(3, 3), fixed)
    assert list(prunable(net)) == ["0.weight"]
    assert list(makers(net)) == ["0.weight", "1.weight"]


def test_exclude_takes_globs(net: nn.Module) -> None:
    assert list(prunable(net, ("7.*",))) == ["0.weight", "3.weight"]
    assert list(prunable(net, ("[03].weight",))) == ["7.weight"]


def test_a_pattern_without_a_match_is_a_typo(net: nn.Module) -> None:
    with pytest.raises(ConfigError, match=r"'clasifier.*' matches no prunable parameter") as caught:
        prunable(net, ("clasifier.*",))
    assert "3.weight" in str(caught.value)
    for model, patterns in ((net, ("*",)), (nn.ReLU(), ())):
        with pytest.raises(ConfigError, match=r"nothing is left"):
            prunable(model, patterns)


def test_matrices_of_attention_and_recurrent_layers_are_prunable_on_demand() -> None:
    net = nn.Sequential(nn.LSTM(3, 4), nn.MultiheadAttention(4, 2), nn.LayerNorm(4), nn.Linear(4, 5))
    found = {
        weights: prune_once(
            net,
            method=methods.get("magnitude"),
            params=NoParams(),
            batches=(),
            generator=torch.Generator(),
            sparsity=0.5,
            weights=weights,
        )
        for weights in ("layers", "matrices")
    }
    assert [*found["layers"]] == ["1.out_proj.weight", "3.weight"]
    assert [*found["matrices"]] == [
        *("0.weight_ih_l0", "0.weight_hh_l0", "1.in_proj_weight", "1.out_proj.weight", "3.weight")
    ]
    assert found["matrices"].total - found["matrices"].remaining == found["matrices"].total // 2


def test_what_is_prunable_is_said_beside_what_is_not() -> None:
    net = nn.Sequential(
        nn.GRU(2, 2, bias=False), nn.Linear(6, 5), nn.Linear(5, 5, bias=False), nn.LayerNorm(8)
    )
    assert shares(net) == (
        "55 % of 100 weights are prunable; not 24 % in attention, recurrent and transposed layers"
        " (prune.weights: matrices), 21 % in biases, normalisation and others"
    )
    said = shares(net, ("2.*",), weights="matrices")
    assert said == (
        "54 % of 100 weights are prunable; not 25 % in prune.exclude, 21 % in biases, normalisation and others"
    )


def mask_of(*rows: list[int]) -> Mask:
    return Mask({f"p{i}": torch.tensor(row) for i, row in enumerate(rows)})


def test_counts_over_all_parameters() -> None:
    mask = mask_of([1, 0, 0, 1], [0, 1])
    assert (mask.total, mask.remaining) == (6, 3)
    assert mask.sparsity == 0.5
    assert kept_in(mask) == {"p0": 2, "p1": 1}
    assert repr(mask) == "Mask(3 of 6 weights in 2 parameters)"
    assert Mask({}).sparsity == 0.0
    source = torch.tensor([True, False])
    mask = Mask({"p": source})
    source[1] = True
    assert mask["p"].tolist() == [True, False], "it holds its own copy"


def test_apply_zeroes_exactly_the_removed_weights(net: nn.Module) -> None:
    before = copy.deepcopy(net.state_dict())
    kept = torch.rand(4, 8, generator=torch.Generator().manual_seed(3)) > 0.5
    kept[0, 0] = False
    net.get_parameter("7.weight").data[0, 0] = torch.nan  # It diverged.
    Mask({"7.weight": kept}).apply(net)
    after = net.state_dict()
    assert torch.equal(after["7.weight"], torch.where(kept, before["7.weight"], 0.0))
    assert all(torch.equal(after[name], before[name]) for name in before if name != "7.weight")


def test_apply_refuses_another_network(net: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"no parameter '7.weight' of shape"):
        Mask({"7.weight": torch.ones(8, 4)}).apply(net)
    with pytest.raises(ValueError, match=r"no parameter 'absent'"):
        Mask({"absent": torch.ones(1)}).apply(net)


SPEC = PruneSpec(method="magnitude", ratio=0.36, recipe=Recipe(epochs=1, lr=0.1))


def refused(entry: PruningMethod | None = None, **changes: Any) -> str:
    spec = dataclasses.replace(SPEC, **changes)
    return str(refusals(spec, entry or methods.get("magnitude"))[0])


def limited(**traits: object) -> PruningMethod:
    return PruningMethod("limited", lambda *_: {"w": torch.ones(1)}, NoParams, **traits)  # type: ignore[arg-type]


@pytest.mark.parametrize(("field", "word"), [("recovery", "rest"), ("scope", "block"), ("at", "birth")])
def test_unknown_words_are_refused_with_the_known_ones(field: str, word: str) -> None:
    assert f"unknown prune.{field} '{word}'" in refused(None, **{field: word})


def test_ratio_schedule_and_parameters_are_checked_too() -> None:
    assert "prune.ratio" in refused(ratio=1.0)
    assert "unknown prune.schedule" in refused(schedule="cubic")
    assert "unknown parameter 'power'" in refused(params=(("power", 2),))


def test_a_method_says_what_it_does_not_go_with() -> None:
    assert "use prune.at: init" in refused(limited(at=("init",)))
    assert "use prune.schedule: one_shot" in refused(limited(schedules=("one_shot",)))
    assert "limited makes no sense with prune.scope: global" in refused(limited(scopes=("layer",)))
    assert "use prune.scope: global or layer or sensitivity" in refused(methods.get("filter_l2"), scope="erk")
    assert "use prune.scope: layer" in refused(methods.get("nm"), scope="erk", ratio=0.5, schedule="one_shot")
    assert "use prune.scope: global or layer or erk" in refused(at="init", scope="sensitivity")
    assert "use prune.ratio: 0.5" in refused(limited(ratio=lambda _: 0.5))


def test_a_fixed_ratio_that_is_asked_for_passes() -> None:
    assert refusals(dataclasses.replace(SPEC, ratio=0.5), limited(ratio=lambda _: 1 - 2 / 4)) == []


def test_a_control_that_would_not_train_is_refused() -> None:
    assert "nothing would be trained either" in refused(methods.get("train_on"), recovery="none")
    assert "prune.at: trained" in refused(methods.get("train_on"), at="init")
    assert refusals(SPEC, methods.get("train_on")) == []


def test_a_method_of_one_s_own_declares_itself_in_attributes(author: Author) -> None:
    module = author.write()
    sized, early = (methods.get(f"{module}:{name}") for name in ("sized", "early"))
    assert sized.params().power == 1.0
    assert (sized.needs_data, sized.structured, sized.ratio) == (False, False, None)
    assert (sized.at, sized.schedules, sized.scopes) == (("trained", "init"), SCHEDULES, ("global", "layer"))
    assert (early.params, early.needs_data, early.at, early.schedules) == (
        NoParams,
        True,
        ("init",),
        ("one_shot",),
    )
    assert sized.name in methods
    assert sized.name not in methods.names()


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ("short", "is no pruning method: too many positional arguments"),
        ("undeclared", r"undeclared\.params is no dataclass"),
        ("number", "is no function, but a int"),
        ("misplaced", r"misplaced\.at is middle\n  -> name some of: trained, init"),
    ],
)
def test_what_is_no_method_is_refused(author: Author, attribute: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        methods.get(f"{author.write()}:{attribute}")
