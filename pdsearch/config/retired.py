"""Fields that files of earlier versions may hold: they are read with a note and have no effect."""

from pdsearch.config.yaml_tree import Node

__all__ = ["RETIRED", "without_retired"]

_ONE_BY_ONE = "students that differ in their seed are trained one by one"
RETIRED = {"confirm.together": _ONE_BY_ONE, "distill.replicas": _ONE_BY_ONE}
"""Dotted name -> what happens instead."""


def without_retired(root: Node) -> tuple[Node, tuple[str, ...]]:
    """Return a document without its retired fields, and a note on each."""
    notes: list[str] = []
    for name, instead in RETIRED.items():
        section, field = name.split(".")
        node = root.value.get(section) if isinstance(root.value, dict) else None
        if (
            isinstance(root.value, dict)
            and node is not None
            and isinstance(node.value, dict)
            and field in node.value
        ):
            kept = {key: child for key, child in node.value.items() if key != field}
            root = Node(root.mark, {**root.value, section: Node(node.mark, kept, node.keys)}, root.keys)
            notes.append(f"{name} has no effect any more: {instead}")
    return root, tuple(notes)
