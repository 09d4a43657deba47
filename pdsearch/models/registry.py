"""The registry of networks, and the construction of one from name, options and seed."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from inspect import Parameter, signature
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from pdsearch.errors import ConfigError, PdsearchError
from pdsearch.registry import Registry
from pdsearch.specs import Params, derive_seed
from pdsearch.user_code import declared_by, is_dotted, load_dotted, takes_others

Builder: TypeAlias = Callable[..., nn.Module]
"""builder(*, num_classes, input_shape, **options) -> module from (B, *input_shape) to logits.

A network for images may take `channels` and `image_size`, the height and width, instead of `input_shape`; a user's is
given those of the three that it names.
"""

LIBRARIES = ("torchvision", "timm")
"""Libraries whose networks are named LIBRARY/NAME; each has a module beside this one."""

INPUT_SHAPE, IMAGE_AXES = "input_shape", ("C", "H", "W")
BUILD_ARGUMENTS = frozenset({"num_classes", "input_shape", "channels", "image_size"})


class ModelRegistry(Registry[Builder]):
    """Models by name, others' as `torchvision/NAME` or `timm/NAME`, a user's by dotted path; `names` are built-in."""

    def get(self, name: str) -> Builder:
        """Return the builder of a name.

        Raises:
            ConfigError: No model has the name, or the object it names is no builder.
        """
        if is_dotted(name):
            return _own(name)
        library, published = _published(name)
        if library is None:
            return super().get(name)
        found: Builder = library.builder(published)
        return found

    def __contains__(self, name: object) -> bool:
        try:
            self.get(str(name))
        except ConfigError:
            return False
        return True


def _published(name: str) -> tuple[Any, str]:
    """Return the module of the library that a name begins with, and the rest of the name; None for other names."""
    library, slash, rest = name.partition("/")
    if not slash or library not in LIBRARIES:
        return None, name
    return import_module(f"pdsearch.models.{library}"), rest


def usual_size(name: str) -> int:
    """Return the height and width of the images that a network is described with: its own, or those of CIFAR."""
    library, published = _published(name)
    return 32 if library is None else int(library.usual_size(published))


def _own(name: str) -> Builder:
    """Return the user's builder of a dotted path."""
    builder = load_dotted(name)
    try:
        signature(builder).bind(**build_arguments(builder, 1, (1, 1, 1)))
    except (TypeError, ValueError) as error:
        hint = "it is called by name: num_classes, those of input_shape, channels, image_size that it has, its options"
        raise ConfigError(f"{name} cannot build a model: {error}", hint=hint) from error
    return builder


def options_of(builder: Builder) -> Mapping[str, Parameter]:
    """Return a model's declared options by name, from its builder's signature."""
    declared = declared_by(builder)
    return {name: declared[name] for name in declared if name not in BUILD_ARGUMENTS}


models: Registry[Builder] = ModelRegistry("model", "pdsearch.models.families")


def model(name: str) -> Callable[[Builder], Builder]:
    """Register a builder of networks.

    Args:
        name: Its name in space files.
    """
    return models.add(name)


def build(
    name: str, *, num_classes: int, input_shape: tuple[int, ...], seed: int, options: Params = ()
) -> nn.Module:
    """Build a network with initial weights drawn from the seed alone; the global generators are unchanged.

    Of a module compiled by `torch.compile` the module inside is returned: its parameters have their own names, and it
    computes the same.

    Args:
        name: Registered model name.
        num_classes: Width of the logits.
        input_shape: Shape of one input: (C, H, W) of an image.
        seed: Seed of the initialisation.
        options: Further arguments of the model.

    Raises:
        ConfigError: The name is unknown, the model has no such option or is for inputs of another kind, it cannot be
            built so, or the builder returns something else.
    """
    builder, given = models.get(name), dict(options)
    known = options_of(builder)
    unknown = [option for option in given if option not in known and not takes_others(builder)]
    if unknown:
        hint = f"its options: {', '.join(sorted(known)) or 'none'}"
        raise ConfigError(f"model {name!r} has no option {unknown[0]!r}", hint=hint)
    _check_shape(name, builder, input_shape)
    with drawing(derive_seed(seed, "init")), _told(name, given):
        model = builder(**build_arguments(builder, num_classes, input_shape), **given)
        _settle(model, torch.zeros(1, *input_shape))
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"{name} returns a {type(model).__name__}, not a module of torch",
            hint="return the network itself",
        )
    if programs := [name for name, part in model.named_modules() if isinstance(part, torch.jit.ScriptModule)]:
        what = f"{name}: {programs[0] or 'it'} is a TorchScript program, which is neither pruned nor copied whole"
        raise ConfigError(what, hint="return the module that it was made from")
    compiled: object = getattr(model, "_orig_mod", None)
    return compiled if isinstance(compiled, nn.Module) else model


def build_on_meta(
    name: str, *, num_classes: int, input_shape: tuple[int, ...], options: Params = ()
) -> nn.Module:
    """Build a network without values: shapes alone, and no memory where its builder does without values, too.

    A builder of the user's own runs as ever: it may keep tensors for the next network. Args and errors are those of
    `build`.
    """
    make = partial(build, name, num_classes=num_classes, input_shape=input_shape, seed=0, options=options)
    return (make() if is_dotted(name) else valueless(make)).to("meta")


def valueless(make: Callable[[], nn.Module]) -> nn.Module:
    """Return a network to look at its shapes: without values, unless its builder needs some, as RegNet's does."""
    try:
        with torch.device("meta"):
            return make()
    except (ConfigError, RuntimeError, NotImplementedError):
        with torch.device("cpu"):
            return make()


@contextmanager
def drawing(seed: int, devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Seed every generator that own code may draw from: torch's, Python's and NumPy's; restore them afterwards.

    Torch's default type and its recording of gradients are restored too: other networks are built after this one.

    Args:
        seed: Of the generators of the CPU.
        devices: Accelerators whose generators are restored; they are not seeded.
    """
    python, numpy, dtype = random.getstate(), np.random.get_state(), torch.get_default_dtype()
    with torch.random.fork_rng(devices=devices), torch.set_grad_enabled(torch.is_grad_enabled()):
        # Not torch.manual_seed: it also seeds every accelerator, which fork_rng does not restore.
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
            torch.set_default_dtype(dtype)


def _check_shape(name: str, builder: Builder, shape: tuple[int, ...]) -> None:
    """Refuse inputs that a network for images cannot take.

    Raises:
        ConfigError: The builder takes sizes but no `input_shape`, and they are no images; or not square, for a user's.
    """
    declared = declared_by(builder)
    if INPUT_SHAPE in declared or not (
        takes_others(builder) or declared.keys() & BUILD_ARGUMENTS - {"num_classes"}
    ):
        return
    hint = f"a model of your own that takes {INPUT_SHAPE} can be named as package.module:function"
    if len(shape) != len(IMAGE_AXES):
        raise ConfigError(f"{name} takes images (C, H, W), not inputs of shape {shape}", hint=hint)
    if shape[1] != shape[2] and is_dotted(name) and (takes_others(builder) or "image_size" in declared):
        what = f"{name} takes image_size, one number, and the inputs are of shape {shape}"
        raise ConfigError(what, hint=f"let it take {INPUT_SHAPE} instead of channels and image_size")


def build_arguments(builder: Builder, num_classes: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return what a builder is called with besides its options; our own take the shorter side of an image."""
    offered: dict[str, Any] = {"channels": shape[0], "image_size": min(shape[1:], default=1)}
    declared = declared_by(builder)
    if INPUT_SHAPE in declared:
        offered = {INPUT_SHAPE: shape, **offered}
    elif takes_others(builder):
        return {"num_classes": num_classes, **offered}
    return {"num_classes": num_classes, **{name: offered[name] for name in offered if name in declared}}


def _settle(model: object, image: torch.Tensor) -> None:
    """Initialise lazy layers now, from the seed, instead of at the first images."""
    if isinstance(model, nn.Module) and _lazy(model):
        training = model.training
        with torch.no_grad():
            model.eval()(image)
        model.train(training)
        if left := _lazy(model):
            what = f"its lazy layer {left[0].rpartition('.')[0]} is not used by the forward pass"
            raise ConfigError(what, hint="remove it, or use it")


def _lazy(model: nn.Module) -> list[str]:
    state = (*model.named_parameters(), *model.named_buffers())
    return [name for name, tensor in state if is_lazy(tensor)]


@contextmanager
def _told(name: str, given: Mapping[str, object]) -> Iterator[None]:
    """Turn any error of a builder into one message that names the model and its options."""
    try:
        yield
    except PdsearchError as error:
        raise type(error)(f"{name}: {error.what}", where=error.where, hint=error.hint) from error
    except (MemoryError, torch.OutOfMemoryError):
        raise
    # The user's code may raise anything, and so does torch for impossible sizes.
    except (Exception, SystemExit) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        options = "".join(f", {option}: {value}" for option, value in given.items()).removeprefix(", ")
        what = (
            f"{name} cannot be built{f' with {options}' if options else ''}: {type(error).__name__}: {reason}"
        )
        raise ConfigError(what, hint="mend it or its options; --debug shows the traceback") from error


def lasting(name: str, options: Params) -> Params:
    """Return options with a permanent meaning: published weights by their own name instead of DEFAULT.

    Raises:
        ConfigError: There are no such weights.
    """
    given = dict(options)
    library, published = _published(name)
    if library is None or "weights" not in given:
        return options
    settled = library.weights_name(published, str(given["weights"]))
    return tuple(sorted({**given, "weights": settled}.items()))


def without_weights(name: str, options: Params) -> Params:
    """Return the options without published weights, to build a network that is then filled with other weights."""
    if _published(name)[0] is None:
        return options
    return tuple((option, value) for option, value in options if option != "weights")


LARGE = 2**16
"""Image size in pixels that is large enough for every family."""


def try_options(name: str, options: Params) -> None:
    """Check that a model can be built with the options; the user's own code is not run for this.

    Raises:
        ConfigError: It cannot; `where` is the option, as options.NAME, if a single one is the cause.
    """
    if is_dotted(name) or not options:
        return
    if _published(name)[0] is not None:
        lasting(name, options)
        return
    with torch.device("meta"):
        build(name, num_classes=2, input_shape=(3, LARGE, LARGE), seed=0, options=options)
