"""Which models beside the registered ones does a document name? Those of torchvision, looked up one by one."""

import dataclasses
from collections.abc import Iterator

from pdsearch.errors import ConfigError
from pdsearch.space.catalog import Catalog, options_in
from pdsearch.space.document import Node

__all__ = ["TORCHVISION", "with_published"]

TORCHVISION = "torchvision/"


def with_published(catalog: Catalog, root: Node) -> Catalog:
    """Return a catalog that knows the models of torchvision that a document names, and why others are none."""
    wanted = {text for text in _texts(root) if text.startswith(TORCHVISION)}
    if not wanted:
        return catalog
    from pdsearch.models.registry import models  # loads torch, and torchvision with the names

    found, refused = {}, {}
    for name in sorted(wanted):
        try:
            found[name] = options_in(models.get(name))
        except ConfigError as error:
            refused[name] = error
    return dataclasses.replace(catalog, models={**catalog.models, **found}, refused=refused)


def _texts(node: Node) -> Iterator[str]:
    if isinstance(node.value, dict):
        for child in node.value.values():
            yield from _texts(child)
    elif isinstance(node.value, list):
        for child in node.value:
            yield from _texts(child)
    elif isinstance(node.value, str):
        yield node.value
