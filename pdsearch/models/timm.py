"""timm's classifiers by name (the extra `timm`), and the weights that it publishes for them, as safetensors alone."""

from collections.abc import Callable
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from torch import nn

from pdsearch.errors import ConfigError, DataError
from pdsearch.models.published import PublishedNetwork, try_size

NO_WEIGHTS = "none"
DEFAULT = "DEFAULT"
FILE = "model.safetensors"


def builder(name: str) -> Callable[..., nn.Module]:
    """Return the builder of timm's model `name`; its one option, `weights`, loads published weights.

    Raises:
        ConfigError: timm is not installed, or has no such model.
    """
    timm = _timm()
    model, _, tag = name.partition(".")
    if not timm.is_model(model):
        near = get_close_matches(model, timm.list_models(), n=1) or ["resnet18"]
        hint = f"did you mean timm/{near[0]}?" if name else "e.g. timm/resnet18"
        raise ConfigError(f"timm has no model {model!r}", where="model", hint=hint)
    if tag:
        what = f"timm/{name} names weights beside the model"
        hint = f"write timm/{model} with `options: {{weights: {tag}}}`"
        raise ConfigError(what, where="model", hint=hint)

    def build(*, num_classes: int, channels: int, image_size: int, weights: str = NO_WEIGHTS) -> nn.Module:
        """Timm's model of that name; its last layer has as many outputs as classes.

        Args:
            num_classes: Width of the logits.
            channels: Channels of an image.
            image_size: Height and width of an image.
            weights: Published weights to start from, DEFAULT or a tag of timm's; none draws them.
        """
        about = timm.get_pretrained_cfg(name)
        given: dict[str, Any] = {"num_classes": num_classes, "in_chans": channels}
        if about.fixed_input_size:
            given["img_size"] = image_size
        if weights != NO_WEIGHTS:
            given |= _published(name, weights)
        usual = int(about.input_size[-1])
        try:
            network = _wrapped(timm.create_model(name, **given), about.classifier)
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            if image_size == usual:
                raise
            hint = "set data.options.image_size, or choose another model"
            raise ConfigError(
                f"it was made for images of {usual} pixels, not {image_size}", hint=hint
            ) from error
        if image_size != usual:
            try_size(network, (channels, image_size, image_size), f"it was made for images of {usual} pixels")
        return network

    return build


def usual_size(name: str) -> int:
    """Return the height and width of the images that a network was published for, in pixels."""
    return int(_timm().get_pretrained_cfg(name).input_size[-1])


def weights_name(name: str, weights: str) -> str:
    """Return the permanent name of published weights: DEFAULT changes between versions of timm.

    Raises:
        ConfigError: There are no such weights.
    """
    if weights == NO_WEIGHTS:
        return weights
    known = _tags(name)
    if weights == DEFAULT and known:
        return known[0]
    if weights not in known:
        what = f"timm/{name} has no weights {weights!r}"
        raise ConfigError(what, where="options.weights", hint=f"known: {', '.join(known)}, none")
    return weights


def _tags(name: str) -> list[str]:
    """Return the tags of a model's published weights, its default first."""
    timm = _timm()
    first = timm.get_pretrained_cfg(name).tag
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{name}.*")]
    return sorted(tags, key=lambda tag: (tag != first, tag))


def _published(name: str, weights: str) -> dict[str, Any]:
    """Return what makes timm load published weights, downloaded once; a file of another kind is never read."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    full = f"{name}.{weights_name(name, weights)}"
    repository = _timm().get_pretrained_cfg(full).hf_hub_id
    try:
        if not repository:
            raise FileNotFoundError("they are not on the Hugging Face hub")
        held = try_to_load_from_cache(repository, FILE)  # The hub asks whether there is a newer one.
        file = held if isinstance(held, str) else hf_hub_download(repository, FILE)
    # The hub's client raises errors of its own and those of its transport.
    except Exception as error:
        hint = "connect to the network, name a file as teacher.checkpoint, or leave out options.weights"
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        what = f"the weights of timm/{full} cannot be had as {FILE}: {reason}"
        raise DataError(what, where=f"https://huggingface.co/{repository}", hint=hint) from error
    overlay = {"file": file, "custom_load": False}
    return {"pretrained": True, "pretrained_cfg": full.partition(".")[2], "pretrained_cfg_overlay": overlay}


def _wrapped(trunk: nn.Module, named: object) -> PublishedNetwork:
    """Return the network with its features; `named` is the layer that makes the logits, or several."""
    if isinstance(named, str):
        return PublishedNetwork(trunk, named, linear=isinstance(trunk.get_submodule(named), nn.Linear))
    if isinstance(named, tuple | list):
        return PublishedNetwork(trunk, str(named[0]), linear=False)
    linear = [path for path, module in trunk.named_modules() if isinstance(module, nn.Linear)]
    return PublishedNetwork(trunk, linear[-1], linear=False)


def _timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        what = "timm is not installed"
        raise ConfigError(what, where="model", hint="pip install 'pdsearch[timm]'") from error
    found: ModuleType = timm
    return found
