"""How do parser events become a tree? With positions, within limits of depth and count, tags refused.

Nothing is constructed but strings, numbers, lists and mappings; aliases count as often as they expand.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from pdsearch.space.document import Mark, Node, Path, dotted, shorten
from pdsearch.space.problems import Problems
from pdsearch.space.scalars import resolve_scalar

__all__ = ["MAX_DEPTH", "MAX_NODES", "MAX_TEXT", "Composer", "GiveUpError"]

MAX_DEPTH = 20
MAX_NODES = 10_000
MAX_TEXT = 4_096
WRITE_OUT = "write the value out"


class GiveUpError(Exception):
    """What is wrong is noted and composing cannot go on."""


@dataclass(frozen=True)
class _Anchor:
    node: Node
    size: int
    depth: int


@dataclass
class Composer:
    """Builds the tree of one document from the parser's events.

    Args:
        events: What the parser yields.
        problems: Where to note what is wrong.
    """

    events: Iterator[Any]
    problems: Problems
    count: int = 0
    deepest: int = 0
    anchors: dict[str, _Anchor | None] = field(default_factory=dict)

    def document(self) -> Node | None:
        """Return the tree, or None for an empty document.

        Raises:
            GiveUpError: What is wrong is noted, and composing cannot go on.
        """
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                self._fail(
                    "a second document starts here",
                    event,
                    (),
                    "a space file is one document; remove the `---`",
                )
            if isinstance(event, yaml.NodeEvent):
                root = self._node(event, ())
        return root

    def _mark(self, event: Any) -> Mark:
        return Mark(self.problems.source, event.start_mark.line + 1, event.start_mark.column + 1)

    def _fail(self, what: str, event: Any, path: Path, hint: str | None = None) -> NoReturn:
        self.problems.add(what, self._mark(event), key=dotted(path), hint=hint)
        raise GiveUpError

    def _node(self, event: Any, path: Path) -> Node:
        self._grow(1, len(path), event, path)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if event.tag is not None:
            hint = "write plain values; nothing is constructed from a space file"
            self._fail(f"the tag {shorten(event.tag)} is not allowed", event, path, hint)
        start, outer = self.count, self.deepest
        self.deepest = len(path)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        node = self._content(event, path)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchor(node, self.count - start + 1, self.deepest - len(path))
        self.deepest = max(outer, self.deepest)
        return node

    def _grow(self, nodes: int, depth: int, event: Any, path: Path) -> None:
        self.count += nodes
        self.deepest = max(self.deepest, depth)
        if self.count > MAX_NODES:
            self._fail(
                f"more than {MAX_NODES:,} values, aliases expanded",
                event,
                path,
                "a space file has a few dozen",
            )
        if depth > MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH} levels", event, path[:4], "a space file needs four")

    def _alias(self, event: Any, path: Path) -> Node:
        if event.anchor not in self.anchors:
            self._fail(f"no anchor &{shorten(event.anchor)} stands before this alias", event, path, WRITE_OUT)
        anchor = self.anchors[event.anchor]
        if anchor is None:
            self._fail(
                f"the alias *{shorten(event.anchor)} stands inside its own anchor", event, path, WRITE_OUT
            )
        self._grow(anchor.size, len(path) + anchor.depth, event, path)
        return anchor.node

    def _content(self, event: Any, path: Path) -> Node:
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, path)
        return self._scalar(event, path)

    def _scalar(self, event: Any, path: Path) -> Node:
        mark = self._mark(event)
        if len(event.value) > MAX_TEXT:
            self.problems.add(
                f"a text longer than {MAX_TEXT:,} characters", mark, key=dotted(path), hint="shorten it"
            )
            return Node(mark, "")
        if not event.implicit[0]:
            return Node(mark, event.value)
        try:
            return Node(mark, resolve_scalar(event.value))
        except ValueError as error:
            self.problems.add(
                str(error), mark, key=dotted(path), hint="write a finite number of ordinary size"
            )
            return Node(mark, None)

    def _sequence(self, event: Any, path: Path) -> Node:
        children: list[Node] = []
        while not isinstance(child := next(self.events), yaml.SequenceEndEvent):
            children.append(self._node(child, (*path, len(children))))
        return Node(self._mark(event), children)

    def _mapping(self, event: Any, path: Path) -> Node:
        node = Node(self._mark(event), {})
        children: dict[str, Node] = {}
        while not isinstance(key := next(self.events), yaml.MappingEndEvent):
            name = self._key(key, path)
            child = self._node(next(self.events), (*path, name))
            if name in children:
                first = node.keys[name].line
                again = self._mark(key).line
                lines = f": first on line {first}, again on line {again}" if first != again else ""
                what = f"the key {shorten(name)!r} stands twice{lines}"
                self.problems.add(what, self._mark(key), key=dotted((*path, name)), hint="keep one of them")
                continue
            children[name], node.keys[name] = child, self._mark(key)
        node.value = children
        return node

    def _key(self, event: Any, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            self._fail("a key must be a plain word", event, path, "write `key: value`")
        if len(event.value) > MAX_TEXT:
            self._fail("a key this long is none of ours", event, path, "check the colons near here")
        self._grow(1, len(path), event, path)
        return str(event.value)
