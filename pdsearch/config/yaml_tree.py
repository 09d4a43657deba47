"""The tree of a space file: plain values with the position of every node and key."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Scalar: TypeAlias = "bool | int | float | str | None"
Plain: TypeAlias = "Scalar | list[Plain] | dict[str, Plain]"
Path: TypeAlias = tuple[str | int, ...]
"""The keys of mappings and indices of lists from the root to a node."""


@dataclass(frozen=True)
class Mark:
    """A position: a source (file or option) and, where it has lines, a line and a column counted from 1."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass
class Node:
    """A value and its position.

    Args:
        mark: Position of the value.
        value: A scalar, a list of nodes, or nodes by key.
        keys: Position of each key of a mapping.
    """

    mark: Mark
    value: "Scalar | list[Node] | dict[str, Node]"
    keys: dict[str, Mark] = field(default_factory=dict)


def to_plain(node: Node) -> Plain:
    """Return the values without positions."""
    if isinstance(node.value, dict):
        return {key: to_plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [to_plain(child) for child in node.value]
    return node.value


def from_plain(value: object, mark: Mark) -> Node:
    """Return a tree of plain values, every node at the same mark."""
    if isinstance(value, Mapping):
        nodes = {str(key): from_plain(child, mark) for key, child in value.items()}
        return Node(mark, nodes, dict.fromkeys(nodes, mark))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return Node(mark, [from_plain(child, mark) for child in value])
    if value is None or isinstance(value, bool | int | float | str):
        return Node(mark, value)
    return Node(mark, str(value))


def every_node(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Yield a node and all below it, in the document's order, each with its path."""
    yield path, node
    if isinstance(node.value, dict | list):
        steps = node.value.items() if isinstance(node.value, dict) else enumerate(node.value)
        for step, child in steps:
            yield from every_node(child, (*path, step))


def node_at(root: Node, path: Path) -> Node | None:
    """Return the node at a path, or None."""
    node = root
    for step in path:
        child: Node | None = None
        if isinstance(node.value, dict) and isinstance(step, str):
            child = node.value.get(step)
        elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
            child = node.value[step]
        if child is None:
            return None
        node = child
    return node


def mark_of(root: Node, path: Path, *, key: bool = False) -> Mark:
    """Return the position of a value, or of its key; of the nearest enclosing node if it does not exist."""
    parent = node_at(root, path[:-1]) if path else None
    if parent is not None and key and isinstance(path[-1], str) and path[-1] in parent.keys:
        return parent.keys[path[-1]]
    while (node := node_at(root, path)) is None:
        path = path[:-1]
    return node.mark


def dotted(path: Path) -> str:
    """Return a path in dotted form, e.g. `space.prune.ratio` or `constraints[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{shorten(step)}"
    return text.removeprefix(".")


def shorten(text: str, limit: int = 60) -> str:
    """Return a text on one line, shortened to fit in a message."""
    text = text if len(text) <= limit else f"{text[: limit - 3]}..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
