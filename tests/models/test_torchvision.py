"""Published weights get into torchvision's networks under our names; without a network they say what to do."""

import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import huggingface_hub
import pytest
import timm
import torch
import torchvision.models
from safetensors.torch import save_file
from torch import Tensor, nn

from pdsearch.errors import ConfigError, DataError
from pdsearch.models import build, lasting, without_weights
from pdsearch.models import torchvision as torchvision_module
from pdsearch.models.published import PublishedNetwork

NAME = "torchvision/shufflenet_v2_x0_5"
SIZES: dict[str, Any] = {"input_shape": (3, 64, 64), "seed": 0}


def made(classes: int, **options: Any) -> nn.Module:
    return build(NAME, num_classes=classes, options=tuple(options.items()), **SIZES)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Stand in for the download: torchvision's own network of 1,000 classes, under torchvision's names."""
    state: dict[str, Tensor] = torchvision.models.get_model("shufflenet_v2_x0_5").state_dict()

    def found(url: str, *, check_hash: bool, weights_only: bool, progress: bool) -> dict[str, Tensor]:
        assert "shufflenetv2_x0.5" in url
        assert (check_hash, weights_only, progress) == (True, True, False)
        return dict(state)

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", found)
    return state


def test_published_weights_fill_the_network(published: dict[str, Tensor]) -> None:
    model, own = (
        made(1000, weights="DEFAULT").eval(),
        torchvision.models.get_model("shufflenet_v2_x0_5").eval(),
    )
    own.load_state_dict(published)
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(model(images), own(images))


def test_other_classes_get_a_fresh_classifier(published: dict[str, Tensor]) -> None:
    model, random = made(7, weights="IMAGENET1K_V1"), made(7)
    assert torch.equal(model.get_parameter("trunk.conv1.0.weight"), published["conv1.0.weight"])
    assert torch.equal(model.get_parameter("classifier.weight"), random.get_parameter("classifier.weight"))
    assert not torch.equal(
        model.get_parameter("trunk.conv1.0.weight"), random.get_parameter("trunk.conv1.0.weight")
    )


def test_positions_are_interpolated_and_auxiliary_classifiers_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = torchvision.models.VisionTransformer(32, 16, 1, 2, 8, 16, num_classes=1000)
    ours = PublishedNetwork(
        torchvision.models.VisionTransformer(64, 16, 1, 2, 8, 16, num_classes=4), "heads.head", linear=True
    )
    aux = {"aux1.conv.conv.weight": torch.ones(1), "AuxLogits.fc.bias": torch.ones(1)}
    monkeypatch.setattr(
        torchvision.models._api, "load_state_dict_from_url", lambda *_, **__: {**small.state_dict(), **aux}
    )
    torchvision_module._fill(ours, "vit_b_16", "DEFAULT")
    assert ours.get_parameter("trunk.encoder.pos_embedding").shape == (1, 17, 8)
    assert torch.equal(ours.get_parameter("trunk.conv_proj.weight"), small.conv_proj.weight)


def published_by_timm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    state = timm.create_model("resnet10t").state_dict()
    save_file(state, folder / "model.safetensors")

    def fetched(repository: str, file: str) -> str:
        assert repository == "timm/resnet10t.c3_in1k"
        return str(folder / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetched)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    return state


def test_weights_of_timm_are_read_from_safetensors_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = published_by_timm(tmp_path, monkeypatch)
    options = (("weights", "DEFAULT"),)
    assert lasting("timm/resnet10t", options) == (("weights", "c3_in1k"),)
    assert without_weights("timm/resnet10t", options) == ()
    model = build("timm/resnet10t", num_classes=7, options=options, **SIZES)
    assert torch.equal(model.get_parameter("trunk.conv1.0.weight"), state["conv1.0.weight"])
    assert model.get_parameter("classifier.weight").shape == (7, 512)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda _, file: str(tmp_path / file))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_: 1 / 0)
    again = build("timm/resnet10t", num_classes=7, options=options, **SIZES)
    assert torch.equal(again.get_parameter("trunk.conv1.0.weight"), state["conv1.0.weight"])
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    with pytest.raises(DataError, match=r"timm/resnet10t\.c3_in1k cannot be had as model\.safetensors"):
        build("timm/resnet10t", num_classes=7, options=options, **SIZES)
    with pytest.raises(ConfigError, match="no weights 'nope'"):
        lasting("timm/resnet10t", (("weights", "nope"),))


def test_without_timm_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match="timm is not installed") as caught:
        build("timm/resnet18", num_classes=7, **SIZES)
    assert "pdsearch[timm]" in str(caught.value.hint)


def test_weights_that_are_not_published_are_refused() -> None:
    with pytest.raises(ConfigError, match="known: IMAGENET1K_V1, DEFAULT, none"):
        made(7, weights="IMAGENET21K")


def test_without_a_network_the_message_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", offline)
    with pytest.raises(DataError, match="shufflenet_v2_x0_5 cannot be had") as caught:
        made(7, weights="DEFAULT")
    assert "shufflenetv2_x0.5" in str(caught.value.where)
    assert f"put the file into {tmp_path}/checkpoints" in str(caught.value.hint)


def test_a_hundred_steps_give_an_mnasnet_the_statistics_of_its_images() -> None:
    network = build("torchvision/mnasnet0_5", num_classes=2, input_shape=(3, 32, 32), seed=0).train()
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    seen: dict[str, torch.Tensor] = {}
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs[0]}))
    with torch.no_grad():
        for _ in range(100):
            network(images)
    assert len(seen) == len(layers) > 50
    for name, layer in layers.items():
        given = seen[name].transpose(0, 1).flatten(1)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        torch.testing.assert_close(layer.running_mean, given.mean(1), rtol=1e-2, atol=1e-3)
        torch.testing.assert_close(layer.running_var, given.var(1), rtol=1e-2, atol=1e-3)


def test_default_gets_its_lasting_name() -> None:
    assert lasting("torchvision/resnet50", (("weights", "DEFAULT"),)) == (("weights", "IMAGENET1K_V2"),)
    assert lasting("torchvision/resnet50", (("weights", "none"),)) == (("weights", "none"),)
    assert lasting("torchvision/resnet50", ()) == ()
    assert lasting("convnet_s", (("weights", "DEFAULT"),)) == (("weights", "DEFAULT"),)
    with pytest.raises(ConfigError, match="no weights 'IMAGENET22K'"):
        lasting("torchvision/resnet50", (("weights", "IMAGENET22K"),))


def test_the_shape_of_a_network_needs_no_weights() -> None:
    assert without_weights(NAME, (("weights", "DEFAULT"),)) == ()
    assert without_weights("convnet_s", (("widths", (4,)),)) == (("widths", (4,)),)
