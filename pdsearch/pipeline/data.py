"""The data stage: images decoded and split once, as an artifact that every worker memory-maps."""

from collections.abc import Callable, Generator

from pdsearch.data.dataset.dataset import Dataset, from_tensors, store, to_meta
from pdsearch.data.dataset.views import Views
from pdsearch.data.readers.decode import Largest
from pdsearch.data.registry import sources
from pdsearch.pipeline.cache import Made, obtain, tensors
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.keys import data_key
from pdsearch.protocol import Progress
from pdsearch.specs import DataSpec, Json

Tell = Callable[[int, int], None]
"""tell(images decoded, images in all)."""


def dataset(
    spec: DataSpec, site: WorkerContext, tell: Tell | None = None
) -> Generator[Progress, None, Dataset]:
    """Return the split images of a spec.

    Raises:
        DataError: The set is missing or broken, or an image cannot be decoded.
    """
    key = data_key(spec)
    entry = yield from obtain(site, "data", key, lambda: _decode(spec, tell or (lambda _done, _total: None)))

    def load() -> tuple[Dataset, int]:
        # Size 0, because memory-mapped files take no memory that others need.
        return from_tensors(tensors(entry), entry.meta, crop=spec.crop), 0

    return site.kept.get(("data", key), load)


def views(data: Dataset, *, augment: str, stream: int, site: WorkerContext) -> Views:
    """Return the training views of a stream."""
    return Views(
        data.train,
        mean=data.mean,
        std=data.std,
        augment=augment,
        stream=stream,
        device=site.device,
        classes=data.num_classes,
    )


def _decode(spec: DataSpec, tell: Tell) -> Generator[Progress, None, Made]:
    yield Progress("data", note=f"reading {spec.source}")
    raw = sources.get(spec.source).read(spec)
    largest = getattr(raw.train_images, "largest", Largest())  # What is white in images of more than 8 bits.
    deep: dict[str, Json] = {"largest": [largest.whole, largest.real]} if largest != Largest() else {}
    return Made(lambda file: store(raw, spec, file, tell), {**to_meta(raw.classes, raw.notes), **deep})
