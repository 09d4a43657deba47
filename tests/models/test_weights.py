"""Files of weights are read without running code, and fitted name by name."""

import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pdsearch.errors import ConfigError, DataError
from pdsearch.models import file_hash, fit_weights, load_checkpoint
from pdsearch.models.checkpoint_file import read_state_dicts


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


STATE: dict[str, Tensor] = network().state_dict()


def same(model: nn.Module, wanted: dict[str, Tensor] = STATE) -> bool:
    found = model.state_dict()
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


def loaded(content: Any, folder: Path, **more: Any) -> nn.Module:
    model = network()
    torch.save(content, folder / "weights.pth")
    load_checkpoint(model, folder / "weights.pth", **more)
    return model


def under(prefix: str, state: dict[str, Tensor] = STATE) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


class Calls:
    """Something that calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.called = (function, arguments)

    def __reduce__(self) -> Any:
        return self.called


OTHER = {name: tensor + 1 for name, tensor in STATE.items()}
MASK = (torch.arange(8) % 2).view(2, 4)
WRAPPED: dict[str, Any] = {
    "plain": STATE,
    "lightning": {"epoch": 3, "state_dict": under("model."), "hyper_parameters": {"lr": 0.1}},
    "lightning net, its loss has weights": {"state_dict": {**under("net."), "loss.weight": torch.ones(2)}},
    "model_state": {"model_state": STATE, "optimizer_state": {"state": {0: {"step": torch.ones(1)}}}},
    "net": {"net": STATE, "acc": 71.2, "epoch": 199},
    "twice": {"model": {"state_dict": STATE}},
    "parallel": under("module."),
    "compiled": under("_orig_mod.module."),
    "a compiled part": {name.replace("0.", "0._orig_mod."): tensor for name, tensor in STATE.items()},
    "parallel, compiled, wrapped": {"net": under("module._orig_mod.")},
    "any other names": {"student_weights": under("backbone.")},
    "torchvision's reference": {"model": STATE, "optimizer": {}, "epoch": 1, "args": Namespace(lr=Path("a"))},
    "a container that is never made": {
        "model": STATE,
        "args": Calls(Namespace, "an argument it does not take"),
    },
    "numpy beside it": {"state_dict": STATE, "best": np.float64(0.7), "seen": np.arange(3), "n": np.int64(3)},
    "pruned": {
        **{name: tensor for name, tensor in STATE.items() if name != "3.weight"},
        "3.weight_orig": STATE["3.weight"],
        "3.weight_mask": MASK.float(),
    },
    "equal weights twice": {"model": STATE, "best": STATE},
}


@pytest.mark.parametrize("name", WRAPPED)
def test_what_training_scripts_put_around_weights_is_taken_off(tmp_path: Path, name: str) -> None:
    wanted = {**STATE, "3.weight": STATE["3.weight"] * MASK} if name == "pruned" else STATE
    assert same(loaded(WRAPPED[name], tmp_path), wanted)


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(under("module."), tmp_path / "a.safetensors")
    model = network()
    load_checkpoint(model, tmp_path / "a.safetensors")
    assert same(model)


@pytest.mark.parametrize("legacy", [False, True])
def test_older_files_of_torch_are_read(tmp_path: Path, legacy: bool) -> None:
    torch.save({"state_dict": STATE}, tmp_path / "a.pth.tar", _use_new_zipfile_serialization=not legacy)
    model = network()
    load_checkpoint(model, tmp_path / "a.pth.tar")
    assert same(model)


BOTH = {"state_dict": STATE, "state_dict_ema": under("module.", OTHER)}


def test_of_several_weights_that_fit_the_key_decides(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"several .* fit: state_dict, state_dict_ema\.module") as caught:
        loaded(BOTH, tmp_path)
    assert "checkpoint_key: state_dict" in str(caught.value.hint)
    assert same(loaded(BOTH, tmp_path, key="state_dict"))
    assert same(loaded(BOTH, tmp_path, key="state_dict_ema.module"), OTHER)
    assert same(loaded({**under("student."), **under("teacher.", OTHER)}, tmp_path, key="teacher"), OTHER)
    with pytest.raises(ConfigError, match="no weights under 'ema'") as caught:
        loaded(BOTH, tmp_path, key="ema")
    assert "state_dict_ema.module" in str(caught.value.hint)


@pytest.mark.parametrize("classes", [2, 5])
def test_a_fresh_head_stays_as_it_was_drawn(tmp_path: Path, classes: int) -> None:
    torch.manual_seed(0)
    given = {**OTHER, "3.weight": torch.ones(classes, 4), "3.bias": torch.ones(classes)}
    torch.save(given, tmp_path / "weights.pth")
    model = network()
    drawn = {name: tensor.clone() for name, tensor in model.state_dict().items() if name.startswith("3.")}
    load_checkpoint(model, tmp_path / "weights.pth", fresh_head=True, classes=2)
    assert same(model, {**OTHER, **drawn})
    if classes != 2:
        with pytest.raises(ConfigError, match="of another shape") as caught:
            loaded(given, tmp_path)
        assert "head: fresh" in str(caught.value.hint)


def test_weights_that_are_no_numbers_are_refused() -> None:
    broken = {**STATE, "1.running_var": torch.full((4,), torch.inf), "3.bias": torch.full((2,), torch.nan)}
    with pytest.raises(ConfigError, match=r"^a\.pth: 1\.running_var and 3\.bias are not finite") as caught:
        fit_weights(network(), broken, where="a.pth")
    assert caught.value.hint


HOSTILE: dict[str, tuple[Any, ...]] = {
    "a method": (Path.touch, Path("proof")),
    "a shell": (os.system, "touch proof"),
    "eval": (eval, "open('proof', 'w')"),
    "a harmless name with an attribute": (getattr, Namespace(), "x"),
    "torch's own load": (torch.load, "proof"),
    "a loader of numpy": (np.load, "proof"),
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_code_of_a_file_is_run(
    tmp_path: Path, name: str, legacy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = {"state_dict": STATE, "bomb": Calls(*HOSTILE[name])}
    torch.save(content, "weights.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ConfigError, match=r"more than weights \(\S+\), and no code") as caught:
        read_state_dicts("weights.pth")
    assert "\n" not in caught.value.what
    assert not Path("proof").exists()


@pytest.mark.parametrize("content", [b"cos\nsystem\n(S'touch proof'\ntR.", b"junk", b"\x80\x02]q\x00."])
def test_a_bare_pickle_is_refused(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("weights.pth").write_bytes(content)
    with pytest.raises((ConfigError, DataError)):
        read_state_dicts("weights.pth")
    assert not Path("proof").exists()


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
def test_a_whole_network_is_refused(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "network.pth")
    torch.jit.script(network()).save(tmp_path / "program.pt")
    for name in ("network.pth", "program.pt"):
        with pytest.raises(ConfigError, match=r"torch\.save\(model\.state_dict\(\), FILE\)"):
            read_state_dicts(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "no state dict, but list"),
        ({}, "no state dict, but nothing"),
        ({"epoch": 3, "lr": 0.1}, "no state dict, but epoch, lr"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match=message):
        read_state_dicts(tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["cut.pth", "cut.pt", "cut.safetensors"])
def test_a_broken_file_is_said_to_be_broken(tmp_path: Path, name: str) -> None:
    whole = tmp_path / "whole"
    save_file(STATE, whole) if name.endswith("safetensors") else torch.save(STATE, whole)
    (tmp_path / name).write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(DataError, match="is broken"):
        read_state_dicts(tmp_path / name)


@pytest.mark.parametrize("torchs", [True, False])
def test_a_file_is_known_by_its_content_whatever_it_is_called(torchs: bool, tmp_path: Path) -> None:
    file = tmp_path / ("weights.safetensors" if torchs else "weights.pth")
    torch.save(STATE, file) if torchs else save_file(STATE, file)
    assert read_state_dicts(file)[""].keys() == STATE.keys()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
            "a pointer of Git LFS, and no file",
        ),
        (b"\n<!DOCTYPE html><html>Not found</html>", "a page of the web, and no file"),
        (None, "is a folder"),
    ],
)
def test_what_stands_in_place_of_a_file_is_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.mkdir() if content is None else file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_state_dicts(file)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda weight: (100 * weight).to(torch.int8), "int8"),
        (lambda weight: weight > 0, "bool"),
        (lambda weight: weight.to(torch.complex64), "complex64"),
        (torch.Tensor.to_sparse, "sparse"),
        (lambda weight: weight.to("meta"), "without values"),
    ],
)
def test_weights_that_are_no_real_numbers_are_refused(change: Callable[[Tensor], Tensor], kind: str) -> None:
    name = next(iter(STATE))
    with pytest.raises(ConfigError, match=f"holds other than real numbers: {name} is {kind}"):
        fit_weights(network(), {**STATE, name: change(STATE[name])}, where="file")


@pytest.mark.parametrize("name", ["none.pth", "none.safetensors"])
def test_a_missing_file_is_said_to_be_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_state_dicts(tmp_path / name)
    with pytest.raises(ConfigError, match="No such file"):
        file_hash(tmp_path / name)


def test_weights_are_loaded_whatever_their_precision() -> None:
    model = network()
    fit_weights(model, {name: tensor.half() for name, tensor in STATE.items()}, where="x")
    assert model.get_parameter("0.weight").dtype == torch.float32
    assert torch.equal(model.get_parameter("0.weight"), STATE["0.weight"].half().float())


def test_a_missing_count_of_batches_is_forgiven() -> None:
    weights = {name: tensor for name, tensor in STATE.items() if "num_batches" not in name}
    fit_weights(network(), weights, where="x")


def test_all_that_does_not_fit_is_listed_at_once() -> None:
    weights = {**STATE, "3.weight": torch.ones(5, 4), "1.runing_var": torch.ones(4)}
    del weights["0.bias"], weights["1.running_var"]
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ConfigError) as caught:
        fit_weights(model, weights, where="there.pth")
    text = str(caught.value)
    assert "there.pth: the checkpoint does not fit the network" in text
    assert "2 missing: 0.bias, 1.running_var" in text
    assert "1 unexpected: 1.runing_var" in text
    assert "names alike: 1.running_var is near 1.runing_var" in text
    assert "1 of another shape: 3.weight (5, 4), not (2, 4)" in text
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    with pytest.raises(ConfigError, match=r"12 unexpected: .* and 2 more"):
        fit_weights(model, {**STATE, **{f"x{n}": torch.ones(1) for n in range(12)}}, where="x")
