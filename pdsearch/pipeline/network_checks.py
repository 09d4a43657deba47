"""Checks of a network with a few images: weights, logits, a step of training, and storing and loading it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase

from pdsearch.artifacts import Store
from pdsearch.data.dataset.dataset import Dataset, Split
from pdsearch.errors import ConfigError, PdsearchError, StorageError
from pdsearch.models import drawing, evaluating, names_and_verb, not_finite, state_of, state_tensors
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.networks import load_network_tensors, network_tensors, plain_views
from pdsearch.specs import Recipe
from pdsearch.training.fit import batches

SEVERAL, FEW, LONE = 5, 2, 1
"""Training images of a rehearsal: SEVERAL in batches of FEW, the last of which is another size; LONE is the batch size
where an epoch has batches of one."""

STEP = 1e-3
"""Highest learning rate: whether a recipe diverges is found out by training, and not by a few images."""


SLOW = 0.005
"""Momentum of batch normalisation below which usual trainings are too short for it."""


def sizes(recipe: Recipe, data: Dataset) -> set[int]:
    """Return the sizes of an epoch's batches: the recipe's, and that of the last."""
    return {len(batch) for batch in batches(torch.arange(len(data.train)), recipe.batch_size)}


def few_of(data: Dataset, images: int = SEVERAL) -> Dataset:
    """Return a data set with some images of each part, for training as many as given."""

    def some(split: Split, count: int) -> Split:
        places = torch.linspace(0, max(0, len(split) - 1), min(count, len(split))).long()
        return replace(split, images=split.images[places], labels=split.labels[places])

    return replace(
        data, train=some(data.train, images), val=some(data.val, SEVERAL), test=some(data.test, FEW)
    )


def first_images(few: Dataset, count: int) -> Tensor:
    """Return the first images, repeated where there are too few, as a network on the CPU sees them."""
    index = torch.arange(count) % len(few.train)
    views = plain_views(few, few.train, WorkerContext(Store(""), Path()))
    return views.batch(0, index).clone()


def answer_of(network: nn.Module, images: Tensor) -> Tensor:
    """Return a network's logits in evaluation mode; what it draws is drawn from the same seed each time."""
    with drawing(0), evaluating(network):
        logits: Tensor = network(images.clone())
    return logits.float().cpu()


def check_weights(network: nn.Module, *, name: str, where: str, trained: bool) -> None:
    """Refuse weights that cannot be trained or stored, whatever is done with them.

    Raises:
        ConfigError: One has no value, is sparse, expanded or not finite, or is complex and trained.
    """
    weights, state = dict(network.named_parameters()), state_of(network)
    held = {id(weight) for module in network.modules() for weight in module._parameters.values()} - {id(None)}
    if any(
        {id(weight) for weight in listing} != held for listing in (network.parameters(), weights.values())
    ):
        hint = "freeze what is not to be trained: requires_grad_(False)"
        raise ConfigError(
            f"{name} has a parameters() of its own, which leaves some out", where=where, hint=hint
        )
    hooked = "changed by a hook on its gradient, which neither copies nor a network without its channels keep"
    kinds = (
        (
            hooked,
            "scale the gradient in the forward pass, or by hooks of modules",
            [*_where(weights, _is_hooked)],
        ),
        ("built without values (device meta)", "build it on the CPU", [*_where(state, lambda t: t.is_meta)]),
        (
            "sparse, and cannot be stored",
            "make it dense",
            [*_where(state, lambda t: t.layout != torch.strided)],
        ),
        (
            "complex, and no optimizer here trains it",
            "keep real and imaginary parts as two real weights",
            [*_where(weights, lambda t: trained and t.requires_grad and t.is_complex())],
        ),
        ("expanded: several values are one place in memory", "add .clone()", [*_where(state, _overlaps)]),
        ("in the memory of another", "let both names be one parameter, or add .clone()", _shared(state)),
    )
    for what, hint, names in kinds:
        if names:
            raise ConfigError(f"{name}: {names_and_verb(names)} {what}", where=where, hint=hint)
    if broken := not_finite(weights):
        what = f"{name} is built with weights that are no numbers: {names_and_verb(broken)} not finite"
        hint = "torch.empty leaves what memory held: draw every weight"
        raise ConfigError(what, where=where, hint=hint)


def _where(tensors: Mapping[str, Tensor], test: Callable[[Tensor], bool]) -> Iterator[str]:
    return (name for name, tensor in tensors.items() if test(tensor))


def _is_hooked(weight: Tensor) -> bool:
    return bool(weight._backward_hooks or getattr(weight, "_post_accumulate_grad_hooks", None))


def _overlaps(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and tensor.numel() > _reach(tensor)


def _reach(tensor: Tensor) -> int:
    return 1 + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))


def _shared(state: Mapping[str, Tensor]) -> list[str]:
    """Return the names of tensors that overlap one before them: copies, and other memory formats, would part them."""
    found: list[str] = []
    ends: dict[int, int] = {}
    held = [
        (tensor, name) for name, tensor in state.items() if tensor.layout == torch.strided and tensor.numel()
    ]
    for tensor, name in sorted(
        (pair for pair in held if not pair[0].is_meta), key=lambda pair: pair[0].data_ptr()
    ):
        storage, start = tensor.untyped_storage().data_ptr(), tensor.data_ptr()
        if start < ends.get(storage, 0):
            found.append(name)
        end = start + _reach(tensor) * tensor.element_size()
        ends[storage] = max(ends.get(storage, 0), end)
    return found


def check_logits_shape(network: nn.Module, few: Dataset, *, name: str, where: str) -> None:
    """Refuse a network in evaluation mode whose output for two images or for one is not one logit per class."""
    before = state_of(network).keys()
    for count in (FEW, 1):
        with named_errors(name, where, on=_counted(count)), torch.no_grad():
            answer = _answered(network, first_images(few, count), name, where)
        _check_logits(answer, count, few, name, where)
    if made := sorted(state_of(network).keys() - before):
        hint = (
            "make its layers in __init__; torch's lazy ones (nn.LazyLinear) find their size from the images"
        )
        raise ConfigError(
            f"{name} makes weights in its forward pass: {', '.join(made[:3])}", where=where, hint=hint
        )


def check_step(
    network: nn.Module, recipe: Recipe, few: Dataset, *, name: str, where: str, field: str
) -> None:
    """Refuse a network that a recipe cannot train: it has nothing to train, or a batch fails.

    It is trained a little, on the CPU.
    """
    if not any(weight.requires_grad for weight in network.parameters()):
        weights = len(list(network.parameters()))
        why = f"all {weights} parameters are frozen" if weights else "it has no parameters"
        hint = "leave requires_grad of what is to be trained as it is"
        raise ConfigError(f"{name} cannot be trained: {why}", where=where, hint=hint)
    lone = recipe.batch_size == LONE
    larger = f"choose a larger {field}.batch_size: its batches have one image" if lone else None
    for count in sorted(sizes(recipe, few)):
        on = f"{_counted(count)} in training"
        network.train()
        with named_errors(name, where, on=on, hint=larger):
            answer = _answered(network, first_images(few, count), name, where)
        _check_logits(answer, count, few, name, where, " in training")
        if not answer.requires_grad:
            what = f"{name} cannot be trained: its logits do not depend on a parameter that is not frozen"
            raise ConfigError(what, where=where, hint="compute them undetached")
        with named_errors(name, where, on=on, hint=larger):
            labels = torch.arange(count) % few.num_classes
            torch.autograd.backward(functional.cross_entropy(answer.float(), labels))
    trained = dict(network.named_parameters())
    if thin := [*_where(trained, lambda weight: weight.grad is not None and weight.grad.is_sparse)]:
        what = (
            f"{name} cannot be trained: the gradient of {thin[0]} is sparse, and no optimizer here reads that"
        )
        raise ConfigError(what, where=where, hint="build the embedding with sparse=False")
    with torch.no_grad():
        for weight in trained.values():
            if weight.grad is not None:
                weight.sub_(weight.grad, alpha=STEP)
                weight.grad = None
    network.eval()


def check_statistics(
    network: nn.Module, recipe: Recipe, data: Dataset, *, name: str, where: str, field: str
) -> None:
    """Refuse batch normalisation that a whole training leaves with the statistics of an untrained network.

    In evaluation it would be another network than in training, whose values grow from layer to layer.
    """
    steps = recipe.epochs * sum(1 for _ in batches(torch.arange(len(data.train)), recipe.batch_size))
    for path, layer in network.named_modules():
        if not isinstance(layer, _NormBase) or layer.running_mean is None or bool(layer.running_mean.any()):
            continue
        momentum = layer.momentum or 1.0
        if momentum < SLOW and momentum * steps < 1:
            what = (
                f"{name}: after the {steps} steps of {field} the running statistics of {path} "
                f"(momentum {momentum:g}) are still {(1 - momentum) ** steps:.0%} those of an untrained network, "
                "and evaluation uses them"
            )
            hint = f"give its batch normalisation a momentum such as 0.1, or train for {1 / momentum:.0f} steps or more"
            raise ConfigError(what, where=where, hint=hint)


def check_stored(
    network: nn.Module, again: nn.Module, few: Dataset, path: Path, *, name: str, where: str
) -> None:
    """Refuse a network whose stored weights do not make the same network of another one.

    Args:
        network: In evaluation mode.
        again: What its builder returned when it was called again; filled.
        few: The images.
        path: Where the weights are stored.
        name: Its name in messages.
        where: The field to blame in messages.

    Raises:
        ConfigError: They are one network, or two of different weights, or answer differently.
    """
    ours = {id(tensor) for tensor in state_of(network).values()}
    if ours.intersection(id(tensor) for tensor in state_of(again).values()):
        hint = "build a new network in the function, so that each trial has its own"
        raise ConfigError(f"{name} returns one network each time it is called", where=where, hint=hint)
    with named_errors(name, where, on="being stored and loaded again"):
        stored = {key: value.detach().contiguous().clone() for key, value in network_tensors(network).items()}
        save_file(stored, path)
        tensors, theirs = state_tensors(network), state_tensors(again)
    other = [key for key in tensors.keys() & theirs.keys() if tensors[key].shape != theirs[key].shape]
    other += tensors.keys() ^ theirs.keys()
    other = sorted(key for key in other if not key.endswith("_extra_state"))
    if other:
        what = f"{name} is another network each time it is built: {', '.join(other[:3])} differ"
        hint = (
            "its layers may depend on its options, the classes and the images, and on nothing else; buffers that grow"
            " in the forward pass, as those of quantisation's observers, need their shape in __init__"
        )
        raise ConfigError(what, where=where, hint=hint)
    with named_errors(name, where, on="being stored and loaded again"):
        load_network_tensors(again, load_file(path))
        before, after = (answer_of(model, first_images(few, FEW)) for model in (network, again))
    if not torch.allclose(before, after, rtol=1e-4, atol=1e-5, equal_nan=True):
        hint = "it computes with something that is not in its state_dict: make it a parameter or a buffer"
        raise ConfigError(
            f"{name} answers otherwise when its weights are loaded again", where=where, hint=hint
        )


def check_alone(network: nn.Module, few: Dataset, *, name: str, where: str) -> None:
    """Refuse a network whose answer to an image depends, in evaluation, on the other images of its batch.

    Its accuracy would be that of batches of one size in one order, and a single image would be answered otherwise.

    Args:
        network: Trained a little, so that its logits are not all zero.
        few: The images.
        name: Its name in messages.
        where: The field to blame in messages.
    """
    images = first_images(few, 3)
    both, first, second = (answer_of(network, images[pair]) for pair in ([0, 1], [0, 2], [2, 1]))
    alone = torch.stack([first[0], second[1]])  # What reads a batch as a sequence may look one way only.
    if not torch.allclose(both, alone, rtol=1e-4, atol=1e-4 * float(both.abs().max()), equal_nan=True):
        what = f"{name} answers an image otherwise beside another image, in evaluation too"
        hint = (
            "keep images apart: batch_first=True for recurrent layers and attention, batch normalisation with running"
            " statistics that follows eval(), no mean over a batch, buffers that change in training alone"
        )
        raise ConfigError(what, where=where, hint=hint)


@contextmanager
def restored(network: nn.Module) -> Iterator[None]:
    """Run a block that trains a network; its state and the random states are restored afterwards."""
    held = [(tensor, tensor.detach().clone()) for tensor in state_of(network).values()]
    try:
        with drawing(0):
            yield
    finally:
        with torch.no_grad():
            for tensor, before in held:
                tensor.copy_(before)
        for weight in network.parameters():
            weight.grad = None


@contextmanager
def named_errors(name: str, where: str, *, on: str = "two images", hint: str | None = None) -> Iterator[None]:
    """Convert any error of a network or a loss to one message that names it."""
    try:
        yield
    except StorageError:
        raise
    except PdsearchError as error:
        place = error.where or where
        if place.startswith("options."):  # A network does not know whose options they are.
            place = f"{where.partition('.')[0]}.{place}"
        raise ConfigError(error.what, where=place, hint=error.hint) from error
    # User code may raise anything, and torch does so for images that are too small.
    except (Exception, SystemExit) as error:
        lines = [*map(str.strip, str(error).strip().splitlines()), "no reason given"]
        reason = " ".join(lines[: 1 + lines[0].endswith(":")])
        if "view size is not compatible" in reason:
            hint = (
                "images are in channels_last order here: write x.flatten(1) or x.reshape(...) for x.view(...)"
            )
        what = f"{name} fails on {on}: {type(error).__name__}: {reason}"
        hint = hint or "nothing was trained; mend it, or choose another"
        raise ConfigError(what, where=where, hint=hint) from error


def _answered(network: nn.Module, images: Tensor, name: str, where: str) -> Any:
    """Return what a network answers; a batch may be shown to other networks, and again, and must stay as it is."""
    before = images.clone()
    answer = network(images)
    if not torch.equal(images, before):
        what = f"{name} changes the images that it is given, in place"
        raise ConfigError(
            what, where=where, hint="write x = x * 2 for x.mul_(2) or x *= 2, and no inplace=True there"
        )
    return answer


def _counted(count: int) -> str:
    return {1: "one image", 2: "two images"}.get(count, f"{count} images")


def _check_logits(answer: Any, count: int, data: Dataset, name: str, where: str, when: str = "") -> None:
    wanted, shown = (count, data.num_classes), f"{count} image{'' if count == 1 else 's'}{when}"
    if not isinstance(answer, Tensor) or tuple(answer.shape) != wanted:
        found = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        what = f"{name} answers {shown} with {found}, not with logits {wanted}"
        raise ConfigError(what, where=where, hint="return one number for each class, without softmax")
    if not answer.is_floating_point() or answer.layout != torch.strided:
        kind = answer.dtype if answer.layout == torch.strided else answer.layout
        what = f"{name} answers {shown} with {kind}, not with floating-point logits"
        raise ConfigError(what, where=where, hint="return one number for each class, without softmax")
    if not bool(answer.isfinite().all()):
        what = f"{name} answers {shown} with logits that are not finite"
        raise ConfigError(what, where=where, hint="look for a division by zero, or a logarithm of it")
    if bool((answer >= 0).all()) and torch.allclose(
        answer.detach().float().sum(1), torch.ones(count), atol=1e-3
    ):
        what = f"{name} answers {shown} with probabilities, not with logits: they add up to 1"
        raise ConfigError(what, where=where, hint="leave out the softmax at its end: the losses apply one")
