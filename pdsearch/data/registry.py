"""The registries of data sources and augmentations, and their protocols. Loads no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pdsearch.errors import DataError
from pdsearch.input_spec import InputSpec
from pdsearch.registry import Registry
from pdsearch.specs import DataSpec
from pdsearch.user_code import Options

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Images(Protocol):
    """The inputs of a set: an array, a memory-mapped one, or encoded images that are decoded when indexed.

    Images are uint8 (N, C, H, W), all other inputs float32 (N, ...) of any one shape; without an attribute `dtype` they
    are uint8.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W), or (N, ...), known before anything is decoded."""

    def __len__(self) -> int:
        """Return N."""

    def __getitem__(self, index: NDArray[np.int64], /) -> NDArray[Any]:
        """Return the images at some positions; only these are held in memory.

        Raises:
            DataError: One of them cannot be read.
        """


@dataclass(frozen=True)
class RawData:
    """A data set as its source returns it.

    Args:
        train_images: uint8 (N, C, H, W), or float32 (N, ...).
        train_labels: int64 (N,), in [0, number of classes).
        test_images: Of the same shape and type; M is 0 if the set has none; `data.test_fraction` then cuts them off.
        test_labels: int64 (M,).
        classes: Names of the classes, in the order of their indices.
        notes: Notes for the user on how it was read, a line each.

    Raises:
        DataError: The name of a class cannot be encoded.
    """

    train_images: Images
    train_labels: NDArray[np.int64]
    test_images: Images
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.classes:
            try:
                name.encode()
            except UnicodeEncodeError as error:  # It could be written to no file.
                hint = "name the class otherwise"
                raise DataError(f"the name of a class, {name!a}, is no text", hint=hint) from error

    @property
    def inputs(self) -> InputSpec:
        """Shape and type of one image, or other input."""
        kind = np.dtype(getattr(self.train_images, "dtype", np.uint8))
        return InputSpec(tuple(self.train_images.shape[1:]), kind.name)


class Source(Protocol):
    """A source of data sets: `fingerprint` is called first, in the driver; `read` once, in a worker."""

    options: ClassVar[Options]
    """The options it takes; a source that downloads missing files declares `download`."""

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the SHA-256 of the content, 64 hex digits, without loading torch.

        Raises:
            DataError: The set is missing or broken; the message says which file and what to do.
        """

    def read(self, spec: DataSpec) -> RawData:
        """Return the set; images that do not fit into memory are decoded when indexed.

        Raises:
            DataError: As above, or an image cannot be decoded.
        """


sources: Registry[Source] = Registry("data source", "pdsearch.data.sources")


def data_source(name: str) -> Callable[[Source], Source]:
    """Register a data source.

    Args:
        name: Its name in space files.
    """
    return sources.add(name)


class Augmentation(Protocol):
    """A random change of training images, vectorised over images, before normalisation.

    It may say what it `applies_to`, one of `pdsearch.input_spec.APPLIES_TO`; "square images" if it does not; and that
    it comes `after_normalising`: then it is given float32 and comes after those that do not.
    """

    @property
    def constant(self) -> bool:
        """Whether it changes nothing, so that all epochs have the same views."""

    def draw(self, images: int, size: int, generator: "Generator") -> "Tensor":
        """Return all random numbers of one epoch, one row per image.

        Args:
            images: Number of images.
            size: Height and width of an image; the smaller of them if it is not square.
            generator: On the CPU; the only source of randomness.
        """

    def apply(self, images: "Tensor", draws: "Tensor") -> "Tensor":
        """Return the views of images, of their shape and type, given their rows of draws; rows do not interact."""


@runtime_checkable
class Cropping(Augmentation, Protocol):
    """An augmentation that chooses the part of an image that is seen, and so comes first."""

    def crop(self, images: "Tensor", draws: "Tensor", side: int) -> "Tensor":
        """Return the views of images, (B, C, side, side), given their rows of draws, which were made for their size."""


@runtime_checkable
class Mixing(Protocol):
    """An augmentation that mixes each image with a partner; the targets become probabilities.

    It may say what it `applies_to`, as `Augmentation` does.
    """

    def draw(self, images: int, size: int, generator: "Generator") -> "Tensor":
        """Return all random numbers of one epoch, one row per image, int64; the first is the partner's position.

        Args:
            images: Number of images.
            size: Height and width of an image; the smaller of them if it is not square.
            generator: On the CPU; the only source of randomness.
        """

    def apply(self, images: "Tensor", partners: "Tensor", draws: "Tensor") -> "Tensor":
        """Return the mixed views, given the normalised views of images and partners, float32."""

    def share(self, draws: "Tensor", size: int) -> "Tensor":
        """Return the share of an image's own label in its target, float32 (B,) in [0, 1]; the rest is its partner's."""


AnyAugmentation: TypeAlias = Augmentation | Mixing

augmentations: Registry[AnyAugmentation] = Registry("augmentation", "pdsearch.data.augmentations")


def augmentation(name: str) -> Callable[[AnyAugmentation], AnyAugmentation]:
    """Register an augmentation.

    Args:
        name: Its name in space files.
    """
    return augmentations.add(name)
