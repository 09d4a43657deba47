"""Files of weights are read without running code, and fitted name by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pdsearch.errors import ConfigError, DataError
from pdsearch.models import file_hash, fit_weights, read_weights


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


STATE: dict[str, Tensor] = network().state_dict()


def same(found: dict[str, Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[name], STATE[name]) for name in STATE)


WRAPPED: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "plain": lambda state: state,
    "lightning": lambda state: {"epoch": 3, "state_dict": state},
    "mdistiller": lambda state: {"model": state, "best_acc": 71.2},
    "net": lambda state: {"net": state, "acc": 71.2, "epoch": 199},
    "twice": lambda state: {"model": {"state_dict": state}},
    "parallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "compiled": lambda state: {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()},
    "parallel, compiled": lambda state: {
        f"module._orig_mod.{name}": tensor for name, tensor in state.items()
    },
    "parallel, wrapped": lambda state: {"net": {f"module.{name}": tensor for name, tensor in state.items()}},
}


@pytest.mark.parametrize("name", WRAPPED)
def test_what_training_scripts_put_around_weights_is_taken_off(tmp_path: Path, name: str) -> None:
    torch.save(WRAPPED[name](STATE), tmp_path / "weights.pth")
    assert same(read_weights(tmp_path / "weights.pth"))


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file({f"module.{name}": tensor for name, tensor in STATE.items()}, tmp_path / "a.safetensors")
    assert same(read_weights(tmp_path / "a.safetensors"))


def test_a_prefix_of_some_names_is_a_name(tmp_path: Path) -> None:
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "weights.pt")
    assert list(read_weights(tmp_path / "weights.pt")) == ["module.a", "b"]


def test_weights_that_are_no_numbers_are_refused() -> None:
    broken = {**STATE, "1.running_var": torch.full((4,), torch.inf), "3.bias": torch.full((2,), torch.nan)}
    with pytest.raises(ConfigError, match=r"^a\.pth: 1\.running_var and 3\.bias are not finite") as caught:
        fit_weights(network(), broken, where="a.pth")
    assert caught.value.hint


class Bomb:
    """Something that would run code when unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.proof,))


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    torch.save({"state_dict": STATE, "bomb": Bomb(tmp_path / "proof")}, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match="more than weights, and no code"):
        read_weights(tmp_path / "weights.pth")
    assert not (tmp_path / "proof").exists()


def test_a_whole_network_is_refused(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "network.pth")
    with pytest.raises(ConfigError, match=r"torch\.save\(model\.state_dict\(\), FILE\)"):
        read_weights(tmp_path / "network.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds no state dict"),
        ({}, "holds no state dict"),
        ({"epoch": 3, "lr": 0.1}, "not only tensors in the state dict: epoch, lr"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match=message):
        read_weights(tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["cut.pth", "cut.pt", "cut.safetensors"])
def test_a_broken_file_is_said_to_be_broken(tmp_path: Path, name: str) -> None:
    whole = tmp_path / "whole"
    save_file(STATE, whole) if name.endswith("safetensors") else torch.save(STATE, whole)
    (tmp_path / name).write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(DataError, match="is broken"):
        read_weights(tmp_path / name)


@pytest.mark.parametrize("name", ["none.pth", "none.safetensors"])
def test_a_missing_file_is_said_to_be_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_weights(tmp_path / name)
    with pytest.raises(ConfigError, match="No such file"):
        file_hash(tmp_path / name)


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    for name, content in {"a": b"1", "b": b"1", "c": b"2"}.items():
        (tmp_path / name).write_bytes(content)
    assert file_hash(tmp_path / "a") == file_hash(tmp_path / "b") != file_hash(tmp_path / "c")


def test_weights_are_loaded_whatever_their_precision() -> None:
    model = network()
    fit_weights(model, {name: tensor.half() for name, tensor in STATE.items()}, where="x")
    assert model.get_parameter("0.weight").dtype == torch.float32
    assert torch.equal(model.get_parameter("0.weight"), STATE["0.weight"].half().float())


def test_a_missing_count_of_batches_is_forgiven() -> None:
    weights = {name: tensor for name, tensor in STATE.items() if "num_batches" not in name}
    fit_weights(network(), weights, where="x")


def test_all_that_does_not_fit_is_listed_at_once() -> None:
    weights = {**STATE, "3.weight": torch.ones(5, 4), "extra": torch.ones(1)}
    del weights["0.bias"], weights["1.running_var"]
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ConfigError) as caught:
        fit_weights(model, weights, where="there.pth")
    text = str(caught.value)
    assert "there.pth: the checkpoint does not fit the network" in text
    assert "2 missing: 0.bias, 1.running_var" in text
    assert "1 unexpected: extra" in text
    assert "1 of another shape: 3.weight (5, 4), not (2, 4)" in text
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_long_lists_are_cut() -> None:
    with pytest.raises(ConfigError, match=r"12 unexpected: .* and 2 more"):
        fit_weights(network(), {**STATE, **{f"x{n}": torch.ones(1) for n in range(12)}}, where="x")
