"""Augmented views of training images: each depends on the stream, the epoch and the image alone."""

import torch
from torch import Tensor

from pdsearch.data.augmentation_parser import WHERE, chain, check_applies
from pdsearch.data.dataset.dataset import Split
from pdsearch.data.registry import AnyAugmentation, Cropping
from pdsearch.errors import ConfigError, TrialError
from pdsearch.specs import derive_seed
from pdsearch.user_code import called

SMALL_BYTES = 8 * 2**20
"""Up to this size all views of an epoch are computed at once; larger sets stay uint8, shared by a node's processes."""

TRIED = 4
"""Epochs whose views are made twice: some augmentations leave most images as they are."""


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return (images - mean) / std, float32.

    Args:
        images: uint8 (B, C, H, W), or float32 (B, C, ...).
        mean: float32 (C,), in the units of the images.
        std: float32 (C,), in the same units.
    """
    shape = (1, -1, *[1] * (images.dim() - 2))
    return images.to(torch.float32, copy=True).sub_(mean.view(shape)).div_(std.view(shape))


class Views:
    """The training views of a split, with random numbers drawn per epoch: batches and their order do not matter.

    Teacher and student get the same view of an image whenever they use the same stream, so that views of an epoch
    may be stored or recomputed with the same result.

    Args:
        split: Images and labels; the images may be memory-mapped; only the indexed ones are then read. If it has a
            crop, views are the centre of the images, unless the first augmentation chooses the crop.
        mean: See `normalise`.
        std: See `normalise`.
        augment: Registered augmentations; see `pdsearch.data.augmentation_parser`.
        stream: Seed of the views.
        device: Where views are computed, and where the images are kept if they fit.
        classes: Number of classes; required for views that mix images.

    Raises:
        ConfigError: An augmentation is unknown, in the wrong position, or not for such inputs.
    """

    def __init__(
        self,
        split: Split,
        *,
        mean: Tensor,
        std: Tensor,
        augment: str,
        stream: int,
        device: str = "cpu",
        classes: int | None = None,
    ) -> None:
        check_applies(augment, split.inputs)
        self._chain = chain(augment)
        self._stream, self._classes = stream, classes
        self._images, self._labels = held_on_device(split.images, device), split.labels.to(device)
        self._mean, self._std = mean.to(device), std.to(device)
        here = self._images.device == self._labels.device
        self._side, self._crop, self._stored_side = (
            split.inputs.side,
            split.crop,
            min(split.images.shape[2:], default=1),
        )
        self._small = here and self._images.numel() * 4 <= SMALL_BYTES
        self._drawn: tuple[int, list[Tensor]] | None = None
        self._ready: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._labels)

    @property
    def constant(self) -> bool:
        """Whether all epochs have the same views."""
        return self._chain.constant

    @property
    def labels(self) -> Tensor:
        """Labels of all images, int64 (N,), on the views' device."""
        return self._labels

    def batch(self, epoch: int, index: Tensor) -> Tensor:
        """Return the views of the indexed images in an epoch, normalised, float32, of the inputs' shape.

        Args:
            epoch: From 0; any non-negative number.
            index: Positions in the split, int64 (B,), on any device.
        """
        index = index.to(self._labels.device)
        if self._chain.mixing is None:
            return self._unmixed(epoch, index)
        draws = self._draws(epoch)[-1][index]
        partners = self._unmixed(epoch, draws[:, 0])
        name, mixing = self._chain.mixing
        images = self._unmixed(epoch, index)
        with called(name, WHERE):
            return _same(name, mixing.apply(images, partners, draws), images)

    def targets(self, epoch: int, index: Tensor) -> Tensor:
        """Return the targets of the indexed views: class indices, int64 (B,), or class shares for mixed views.

        Shares are float32 (B, classes) and sum to 1. Arguments as for `batch`.

        Raises:
            ValueError: The views are mixed, and the number of classes was not given.
        """
        index = index.to(self._labels.device)
        if self._chain.mixing is None:
            return self._labels[index]
        if self._classes is None:
            raise ValueError("mixed targets need the number of classes")
        draws = self._draws(epoch)[-1][index]
        name, mixing = self._chain.mixing
        with called(name, WHERE):
            share = mixing.share(draws, self._side)[:, None]
        own, partners = (one_hot(self._labels[i], self._classes) for i in (index, draws[:, 0]))
        return own * share + partners * (1 - share)

    def _unmixed(self, epoch: int, index: Tensor) -> Tensor:
        return self._whole(epoch)[index] if self._small else self._made(epoch, index)

    def _whole(self, epoch: int) -> Tensor:
        """Return the views of all images of an epoch: faster for a small set than computing them step by step."""
        epoch = 0 if self.constant else epoch
        if self._ready is None or self._ready[0] != epoch:
            views = self._made(epoch, torch.arange(len(self), device=self._labels.device))
            self._ready = (epoch, channels_last(views))
        return self._ready[1]

    def _made(self, epoch: int, index: Tensor) -> Tensor:
        # Copies whole images; plain indexing copies byte by byte.
        images = self._images.index_select(0, index.to(self._images.device)).to(index.device)
        if self._crop and not self._chain.crops:
            images = centre_crop(images, self._crop)
        if self.constant:
            return normalise(images, self._mean, self._std)
        normalised = False
        for (name, change), draws in zip(self._chain.changes, self._draws(epoch), strict=False):
            if getattr(change, "after_normalising", False) and not normalised:
                images, normalised = normalise(images, self._mean, self._std), True
            with called(name, WHERE):
                if isinstance(change, Cropping):
                    images = change.crop(images, draws[index], self._side)
                else:
                    images = _same(name, change.apply(images, draws[index]), images)
        return images if normalised else normalise(images, self._mean, self._std)

    def _draws(self, epoch: int) -> list[Tensor]:
        """Return the draws of each augmentation, in their order, a row per image."""
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn = (epoch, [self._draw(epoch, *named) for named in self._chain.entries])
        return self._drawn[1]

    def _draw(self, epoch: int, name: str, augmentation: AnyAugmentation) -> Tensor:
        # Drawn on the CPU: the same views on every device. The seed of the first change omits its name, as before
        # chains existed; mixing always includes it.
        first = bool(self._chain.changes) and name == self._chain.changes[0][0]
        purpose = ("views", epoch) if first else ("views", epoch, name)
        generator = torch.Generator().manual_seed(derive_seed(self._stream, *purpose))
        side = self._stored_side if isinstance(augmentation, Cropping) else self._side
        with called(name, WHERE):
            draws = augmentation.draw(len(self), side, generator)
        if not isinstance(draws, Tensor) or draws.shape[:1] != (len(self),):
            found = tuple(draws.shape) if isinstance(draws, Tensor) else type(draws).__name__
            hint = f"return a tensor with a row for each of the {len(self)} images"
            raise TrialError(f"{name} draws {found}", where=WHERE, hint=hint)
        return draws.to(self._labels.device)


def check_repeated(split: Split, *, mean: Tensor, std: Tensor, augment: str, classes: int) -> None:
    """Refuse augmentations of one's own whose views of an image differ when they are made again, or in another batch.

    The teacher's outputs would be those of other views than the student sees. Arguments as for `Views`.

    Raises:
        ConfigError: They do.
    """
    own = [
        name for name, entry in chain(augment).entries if not type(entry).__module__.startswith("pdsearch.")
    ]
    if not own:
        return
    first, again = (
        Views(split, mean=mean, std=std, augment=augment, stream=0, classes=classes) for _ in range(2)
    )
    first._small = again._small = False  # Batch by batch, as views of a large set are made.
    whole = torch.arange(len(split))
    for epoch in range(TRIED):
        together, alone = (
            first.batch(epoch, whole),
            torch.cat([again.batch(epoch, i) for i in whole.split(1)]),
        )
        if not torch.allclose(together, alone, rtol=1e-4, atol=1e-4):
            what = f"{' and '.join(own)}: views of an image are others when they are made again, or in another batch"
            hint = "draw all random numbers in draw(), by its generator, a row for each image; apply() draws none"
            raise ConfigError(what, where=WHERE, hint=hint)


def _same(name: str, views: object, images: Tensor) -> Tensor:
    """Return the views of images; refuse those of another shape or type."""
    if isinstance(views, Tensor) and (views.shape, views.dtype) == (images.shape, images.dtype):
        return views
    found = f"{views.dtype} {tuple(views.shape)}" if isinstance(views, Tensor) else type(views).__name__
    what = f"{name} returns {found} of images {images.dtype} {tuple(images.shape)}"
    raise TrialError(what, where=WHERE, hint="return views of the images' shape and type")


def centre_crop(images: Tensor, side: int) -> Tensor:
    """Return the central squares of maps (B, C, H, W), as torchvision's CenterCrop takes them."""
    top, left = (round((length - side) / 2) for length in images.shape[2:])
    return images[..., top : top + side, left : left + side]


def channels_last(images: Tensor) -> Tensor:
    """Return inputs contiguous in memory, maps (B, C, H, W) in channels_last order, which convolutions prefer."""
    is_map = images.dim() == 4
    return images.contiguous(memory_format=torch.channels_last if is_map else torch.contiguous_format)


def held_on_device(images: Tensor, device: str) -> Tensor:
    """Move images to a device, unless they would take more than half of its free memory."""
    if torch.device(device).type == "cuda" and images.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
        return images
    return images.to(device)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Return one-hot targets, float32 (B, classes)."""
    # torch's one_hot reads the labels first, which synchronises with a GPU.
    return (labels[:, None] == torch.arange(classes, device=labels.device)).float()
