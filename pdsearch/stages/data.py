"""The images, decoded and split once: an artifact that every worker maps into memory."""

from collections.abc import Generator

from pdsearch.data import Dataset, Views, from_tensors, store, to_meta
from pdsearch.data.registry import sources
from pdsearch.events import Progress
from pdsearch.specs import DataSpec
from pdsearch.stages.keys import data_key
from pdsearch.stages.obtain import Made, obtain, tensors
from pdsearch.stages.site import Site

__all__ = ["dataset", "views"]


def dataset(spec: DataSpec, site: Site) -> Generator[Progress, None, Dataset]:
    """Return the split images of a spec."""
    key = data_key(spec)
    entry = yield from obtain(site, "data", key, lambda: _decode(spec))

    def load() -> tuple[Dataset, int]:
        # Mapped from the file, not held: however large, it takes no memory that others need.
        return from_tensors(tensors(entry), entry.meta), 0

    return site.kept.get(("data", key), load)


def views(data: Dataset, *, augment: str, stream: int, site: Site) -> Views:
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


def _decode(spec: DataSpec) -> Generator[Progress, None, Made]:
    yield Progress("data", note=f"reading {spec.source}")
    raw = sources.get(spec.source).read(spec)
    return Made(lambda file: store(raw, spec, file), to_meta(raw.classes))
