"""Files of weights that others trained: the state dicts in them, read without running any code of the file."""

import hashlib
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from pdsearch.errors import ConfigError, DataError
from pdsearch.io.durable import UnfitFileError, check_regular, open_regular

StateDicts = dict[str, dict[str, Tensor]]
"""State dicts of a file by the keys that lead to them, joined by dots; "" is the file's whole content."""

HINT = "check teacher.checkpoint"
DEEPEST = 3
"""Levels of nested dictionaries that are searched for state dicts."""


class _Shell:
    """Stands in for an object beside the weights, such as the arguments of a script; it keeps and does nothing."""

    def __new__(cls, *_args: object, **_named: object) -> "_Shell":
        return super().__new__(cls)

    def __setstate__(self, _state: object) -> None:
        pass

    def __setitem__(self, _key: object, _value: object) -> None:
        pass

    def __hash__(self) -> int:
        return id(self)


NUMPY = ("_reconstruct", "scalar")
BESIDE = (
    "argparse.Namespace",
    "types.SimpleNamespace",
    *(f"pathlib.{kind}" for kind in ("Path", "PosixPath", "WindowsPath", "PurePosixPath")),
    *(f"pathlib._local.{kind}" for kind in ("Path", "PosixPath", "WindowsPath", "PurePosixPath")),
    "datetime.datetime",
    "datetime.timedelta",
    "typing.Any",
    "numpy.dtype",
    "numpy.ndarray",
    "_codecs.encode",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in NUMPY),
    *(f"numpy.dtypes.{kind}DType" for kind in ("Bool", "Int32", "Int64", "Float16", "Float32", "Float64")),
    "easydict.EasyDict",
    "yacs.config.CfgNode",
    *(f"omegaconf.{name}" for name in ("dictconfig.DictConfig", "listconfig.ListConfig", "nodes.AnyNode")),
    *(f"omegaconf.base.{name}" for name in ("Metadata", "ContainerMetadata")),
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)
"""Names of plain containers and numbers that training scripts store; each is read as an empty `_Shell`."""

LFS = b"version https://git-lfs"

WRAPPING = re.compile(r"(^|\.)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""Parts of names that torch.compile, FSDP and activation checkpointing insert at any place."""


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits.

    Raises:
        ConfigError: There is no such file, or it cannot be read.
    """
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except UnfitFileError as error:
        raise ConfigError(error.what, where=str(path), hint=HINT) from error
    except OSError as error:
        reason = f"the checkpoint cannot be read: {error.strerror}"
        raise ConfigError(reason, where=str(path), hint=HINT) from error


def read_state_dicts(path: str | Path) -> StateDicts:
    """Read all state dicts of a .safetensors file, or of a file of torch.save.

    Nothing that the file names is called: known containers beside the weights are passed over, anything else is
    refused. Masks of torch.nn.utils.prune are multiplied into their weights.

    Raises:
        ConfigError: There is no such file, it holds no weights, or objects that are no plain containers.
        DataError: The file is damaged.
    """
    where = str(path)
    try:
        check_regular(path)
        content: object = load_file(path) if _is_safetensors(path) else _load(path)
    except pickle.UnpicklingError as error:
        raise _refused(error, where) from error
    except UnfitFileError as error:
        raise ConfigError(error.what, where=where, hint=HINT) from error
    except IsADirectoryError as error:
        raise ConfigError("is a folder", where=where, hint="name a file in it") from error
    except FileNotFoundError as error:
        raise ConfigError("there is no such file", where=where, hint=HINT) from error
    # torch raises whatever a wrong operand of a damaged or hostile pickle leads to.
    except Exception as error:
        if "TorchScript" in str(error):
            raise _refused(error, where) from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"the checkpoint is broken: {reason}", where=where, hint="copy it again") from error
    found = {place: _masked(_unwrapped(weights)) for place, weights in _state_dicts(content, ())}
    if not found:
        names = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        what = f"the file holds no state dict, but {names or 'nothing'}"
        raise ConfigError(what, where=where, hint="save model.state_dict()")
    return found


def _is_safetensors(path: str | Path) -> bool:
    """Return whether a file is of safetensors, whatever it is called; others are of torch.save.

    Raises:
        UnfitFileError: It is a page or a pointer that stands in place of weights.
    """
    with open_regular(path) as file:
        begin = file.read(64)
    if begin.lstrip().startswith((b"<", LFS)):
        what = "a pointer of Git LFS" if begin.startswith(LFS) else "a page of the web"
        raise UnfitFileError(f"is {what}, and no file of weights: fetch the file itself", where=str(path))
    named = Path(path).suffix == ".safetensors" and not begin.startswith(b"PK")
    return named or begin[8:9] == b"{"


def _load(path: str | Path) -> object:
    # An open file: torch.load reads one that is called .safetensors by another library.
    with torch.serialization.safe_globals([(_Shell, name) for name in BESIDE]), open_regular(path) as file:
        return torch.load(file, map_location="cpu", weights_only=True)


def _refused(error: Exception, where: str) -> ConfigError:
    text = str(error)
    name = re.search(r"GLOBAL (\S+)|function <[\w ]*?([\w.]+)(?: at |>)", text)
    what = next((group for group in name.groups() if group), "") if name else ""
    what = what or ("a TorchScript program" if "TorchScript" in text else "objects of its own")
    hint = "save the weights alone: torch.save(model.state_dict(), FILE), or as safetensors"
    return ConfigError(
        f"the file holds more than weights ({what}), and no code of a file is run", where=where, hint=hint
    )


def _state_dicts(content: object, keys: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    if not isinstance(content, Mapping) or len(keys) > DEEPEST:
        return
    weights = {
        name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)
    }
    if weights:
        yield ".".join(keys), weights
    for name, value in content.items():
        if isinstance(name, str):
            yield from _state_dicts(value, (*keys, name))


def _unwrapped(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {WRAPPING.sub(r"\1", name): tensor for name, tensor in weights.items()}


def _masked(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Multiply the masks that torch.nn.utils.prune keeps beside the weights into them."""
    found = dict(weights)
    for name in weights:
        if name.endswith("_orig") and (stem := name.removesuffix("_orig")) + "_mask" in weights:
            found[stem] = found.pop(name) * found.pop(f"{stem}_mask").to(weights[name].dtype)
    return found
