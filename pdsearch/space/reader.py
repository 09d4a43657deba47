"""How is YAML read safely? Into a tree with positions, within limits of size, depth and count, tags refused.

Nothing is constructed but strings, numbers, lists and mappings; aliases count as often as they expand.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from pdsearch.space.document import Mark, Node, Path, dotted, shorten
from pdsearch.space.problems import Problems
from pdsearch.space.scalars import resolve_scalar

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "MAX_TEXT", "read_yaml"]

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_NODES = 10_000
MAX_TEXT = 4_096
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
# the parser in C, where PyYAML has it, reads 1 MB within the second that the one in Python takes ten times over
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(content: bytes, source: str) -> Node:
    """Read one YAML document.

    Args:
        content: The file's bytes, UTF-8, at most MAX_BYTES.
        source: What messages call it, e.g. the path.

    Raises:
        ConfigError: It is not YAML, or not within the limits; with line and column.
    """
    problems = Problems(source)
    text = _decode(content, problems)
    root: Node | None = None
    try:
        root = _Composer(yaml.parse(text, Loader=LOADER), problems).document()
    except yaml.MarkedYAMLError as error:
        _add_syntax_error(error, text, problems)
    except (yaml.YAMLError, RecursionError) as error:
        problems.add(f"not YAML: {shorten(str(error), 200)}", Mark(source))
    except _GiveUpError:
        pass
    problems.check()
    return root if root is not None else Node(Mark(source, 1, 1), None)


class _GiveUpError(Exception):
    """The problem is noted and reading cannot go on."""


def _decode(content: bytes, problems: Problems) -> str:
    if len(content) > MAX_BYTES:
        problems.add(
            "the file is larger than 1 MB", Mark(problems.source), hint="a space file has a few kilobytes"
        )
        problems.check()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_column(content[: error.start].decode("utf-8-sig", "replace"))
        problems.add(
            "not a text file in UTF-8", Mark(problems.source, line, column), hint="save it as UTF-8 text"
        )
        problems.check()
    found = UNPRINTABLE.search(text)
    if found:
        mark = Mark(problems.source, *_line_column(text[: found.start()]))
        problems.add(
            f"a control character ({found[0]!a}) cannot stand here",
            mark,
            hint="remove it, or quote it as an escape",
        )
        problems.check()
    return text


def _line_column(before: str) -> tuple[int, int]:
    lines = before.split("\n")
    return len(lines), len(lines[-1]) + 1


def _add_syntax_error(error: yaml.MarkedYAMLError, text: str, problems: Problems) -> None:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        problems.add(f"not YAML: {error.problem}", Mark(problems.source))
        return
    lines = text.split("\n", mark.line + 1)
    line = lines[mark.line] if mark.line < len(lines) else ""
    at = Mark(problems.source, mark.line + 1, mark.column + 1)
    if "\t" in line[: len(line) - len(line.lstrip())]:
        problems.add("a tab cannot indent YAML", at, hint="indent with spaces")
        return
    context = f" ({error.context})" if error.context else ""
    problems.add(
        f"not YAML: {error.problem}{context}",
        at,
        hint="check indentation, colons, quotes and brackets near here",
    )


@dataclass(frozen=True)
class _Anchor:
    node: Node
    size: int
    depth: int


@dataclass
class _Composer:
    events: Iterator[Any]
    problems: Problems
    count: int = 0
    deepest: int = 0
    anchors: dict[str, _Anchor | None] = field(default_factory=dict)

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                self.fail(
                    "a second document starts here",
                    event,
                    (),
                    "a space file is one document; remove the `---`",
                )
            if isinstance(event, yaml.NodeEvent):
                root = self.node(event, ())
        return root

    def mark(self, event: Any) -> Mark:
        return Mark(self.problems.source, event.start_mark.line + 1, event.start_mark.column + 1)

    def fail(self, what: str, event: Any, path: Path, hint: str | None = None) -> None:
        self.problems.add(what, self.mark(event), key=dotted(path), hint=hint)
        raise _GiveUpError

    def node(self, event: Any, path: Path) -> Node:
        self.grow(1, len(path), event, path)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, path)
        if event.tag is not None:
            hint = "write plain values; nothing is constructed from a space file"
            self.fail(f"the tag {shorten(event.tag)} is not allowed", event, path, hint)
        start, outer = self.count, self.deepest
        self.deepest = len(path)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        node = self.content(event, path)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchor(node, self.count - start + 1, self.deepest - len(path))
        self.deepest = max(outer, self.deepest)
        return node

    def grow(self, nodes: int, depth: int, event: Any, path: Path) -> None:
        self.count += nodes
        self.deepest = max(self.deepest, depth)
        if self.count > MAX_NODES:
            self.fail(
                f"more than {MAX_NODES:,} values, aliases expanded",
                event,
                path,
                "a space file has a few dozen",
            )
        if depth > MAX_DEPTH:
            self.fail(f"nested deeper than {MAX_DEPTH} levels", event, path[:4], "a space file needs four")

    def alias(self, event: Any, path: Path) -> Node:
        if event.anchor not in self.anchors:
            self.fail(f"no anchor &{shorten(event.anchor)} stands before this alias", event, path)
        anchor = self.anchors[event.anchor]
        if anchor is None:
            self.fail(f"the alias *{shorten(event.anchor)} stands inside its own anchor", event, path)
            raise _GiveUpError
        self.grow(anchor.size, len(path) + anchor.depth, event, path)
        return anchor.node

    def content(self, event: Any, path: Path) -> Node:
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(event, path)
        return self.scalar(event, path)

    def scalar(self, event: Any, path: Path) -> Node:
        mark = self.mark(event)
        if len(event.value) > MAX_TEXT:
            self.problems.add(f"a text longer than {MAX_TEXT:,} characters", mark, key=dotted(path))
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

    def sequence(self, event: Any, path: Path) -> Node:
        children: list[Node] = []
        while not isinstance(child := next(self.events), yaml.SequenceEndEvent):
            children.append(self.node(child, (*path, len(children))))
        return Node(self.mark(event), children)

    def mapping(self, event: Any, path: Path) -> Node:
        node = Node(self.mark(event), {})
        children: dict[str, Node] = {}
        while not isinstance(key := next(self.events), yaml.MappingEndEvent):
            name = self.key(key, path)
            child = self.node(next(self.events), (*path, name))
            if name in children:
                first = node.keys[name].line
                what = f"the key {shorten(name)!r} stands twice: first on line {first}, again on line {self.mark(key).line}"
                self.problems.add(what, self.mark(key), key=dotted((*path, name)), hint="keep one of them")
                continue
            children[name], node.keys[name] = child, self.mark(key)
        node.value = children
        return node

    def key(self, event: Any, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            self.fail("a key must be a plain word", event, path, "write `key: value`")
        if len(event.value) > MAX_TEXT:
            self.fail("a key this long is none of ours", event, path)
        self.grow(1, len(path), event, path)
        return str(event.value)
