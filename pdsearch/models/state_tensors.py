"""The state of a network: as tensors to store, loaded again, checked for NaN, kept while it is evaluated."""

import io
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError

MOST_NAMES = 3
EXTRA = "_extra_state"
"""How names end of what `get_extra_state` returns."""


def state_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return a network's state dict as tensors alone; extra state is encoded as bytes, uint8 (N,).

    The encoding is torch's own, and is read again without running code (`weights_only`).

    Raises:
        ConfigError: The state dict holds an extra state that cannot be read again so, or what is neither.
    """
    return {
        name: value if isinstance(value, Tensor) else _encoded(name, value)
        for name, value in model.state_dict().items()
    }


def load_tensors(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load the result of `state_tensors` into a network of the same architecture, as `load_state_dict` does.

    Some layers (torchvision's MNASNet, spectral norm) read the version of their format from the state dict's metadata,
    which tensors do not have: it is the network's own.

    Names may have the prefix that `torch.compile` gives them.

    Raises:
        RuntimeError: They do not fit the network.
    """
    ours = model.state_dict()
    state = OrderedDict(
        (
            name if name in ours else name.removeprefix("_orig_mod."),
            _decoded(value) if _is_encoded(name, value) else value,
        )
        for name, value in tensors.items()
    )
    if hasattr(ours, "_metadata"):  # A state_dict of the user's own may lack it.
        state._metadata = ours._metadata  # type: ignore[attr-defined]
    model.load_state_dict(state)


def constants_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the buffers that a state dict leaves out (`persistent=False`), by name.

    They may hold what the builder drew at random, or a value for each of a network's channels before some were removed.
    """
    return {
        f"{prefix}.{name}" if prefix else name: module.get_buffer(name)
        for prefix, module in model.named_modules()
        for name in sorted(module._non_persistent_buffers_set)
        if module._buffers.get(name) is not None
    }


def load_constants(model: nn.Module, constants: Mapping[str, Tensor]) -> None:
    """Replace buffers by the result of `constants_of`; those that the network lacks, or has in another shape, stay."""
    for name, buffer in constants_of(model).items():
        value = constants.get(name)
        if value is not None and value.shape == buffer.shape:
            prefix, _, last = name.rpartition(".")
            model.get_submodule(prefix)._buffers[last] = value.to(buffer.device)


def _encoded(name: str, value: object) -> Tensor:
    if not name.endswith(EXTRA):
        what = f"{name} of the state dict is a {type(value).__name__} and no tensor"
        hint = "build the network before it is quantised; other values belong into get_extra_state"
        raise ConfigError(what, hint=hint)
    content = io.BytesIO()
    try:
        torch.save(value, content)
        encoded = torch.frombuffer(bytearray(content.getvalue()), dtype=torch.uint8)
        _decoded(encoded)
    except Exception as error:  # Pickling runs the user's code, and may raise anything.
        raise ConfigError(
            f"{name}, of class {type(value).__name__}, cannot be stored so that it is read without running code",
            hint="return a tensor, numbers, strings, lists or dictionaries of them from get_extra_state",
        ) from error
    return encoded


def _is_encoded(name: str, tensor: Tensor) -> bool:
    return name.endswith(EXTRA) and tensor.dtype == torch.uint8 and bytes(tensor[:2].tolist()) == b"PK"


def _decoded(encoded: Tensor) -> object:
    return torch.load(io.BytesIO(encoded.cpu().numpy().tobytes()), weights_only=True)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Run a block without gradients and the network in evaluation mode; restore the mode of every module."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Return a network's parameters and buffers by name, each once."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def nbytes(model: nn.Module) -> int:
    """Return the size of a network's parameters and buffers."""
    return sum(tensor.nbytes for tensor in state_of(model).values())


def not_finite(tensors: Mapping[str, Tensor], *, but: Iterable[str] = ()) -> list[str]:
    """Return the names of the tensors that hold NaN or an infinity; synchronises with a GPU once.

    Args:
        tensors: By name, all on one device.
        but: Names to skip.
    """
    numbers = {name: tensor.detach() for name, tensor in tensors.items() if tensor.is_floating_point()}
    for name in but:
        numbers.pop(name, None)
    if not numbers:
        return []
    fine = torch.stack([tensor.isfinite().all() for tensor in numbers.values()]).tolist()
    return [name for name, finite in zip(numbers, fine, strict=True) if not finite]


def was_not_finite(model: nn.Module) -> frozenset[str]:
    """Return the names of buffers that are not finite by design, e.g. an attention mask with -inf."""
    return frozenset(not_finite(dict(model.named_buffers())))


def names_and_verb(names: Sequence[str]) -> str:
    """Return the first names, the number of further ones, and the verb: "a and b are"."""
    more = len(names) - MOST_NAMES
    shown = [*names[:MOST_NAMES], *([f"{more} more"] if more > 0 else [])]
    if len(shown) == 1:
        return f"{shown[0]} is"
    return f"{', '.join(shown[:-1])} and {shown[-1]} are"
