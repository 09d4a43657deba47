"""Safe YAML reader: builds a tree, limits size, depth and count, resolves scalars by YAML 1.2.

Source: YAML 1.2.2, section 10.3.2. PyYAML itself follows YAML 1.1: `5e-4` is a string, `off` is false.

Only strings, numbers, lists and mappings are constructed; an alias counts each time it expands.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from pdsearch.config.problems import Problems
from pdsearch.config.yaml_tree import Mark, Node, Path, Scalar, dotted, shorten

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "MAX_TEXT",
    "Composer",
    "GiveUpError",
    "read_yaml",
    "resolve_scalar",
]

NULL = frozenset({"", "~", "null", "Null", "NULL"})
TRUE = frozenset({"true", "True", "TRUE"})
FALSE = frozenset({"false", "False", "FALSE"})
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
LONGEST_NUMBER = 40


def resolve_scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar.

    Raises:
        ValueError: It is a number that is not finite or does not fit 64 bits; the message can be shown to the user.
    """
    if text in NULL:
        return None
    if text in TRUE or text in FALSE:
        return text in TRUE
    if NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number")
    if INTEGER.fullmatch(text):
        return _integer(text)
    if FLOAT.fullmatch(text):
        return _float(text)
    return text


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a whole number of this length fits no field")
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    value = int(text[2:] if base != 10 else text, base)
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{text} does not fit 64 bits")
    return value


def _float(text: str) -> float:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a number of this length has more digits than it can keep")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


MAX_DEPTH = 20
MAX_NODES = 10_000
MAX_TEXT = 4_096
WRITE_OUT = "write the value out"


class GiveUpError(Exception):
    """Composing cannot continue; the problem has been reported."""


@dataclass(frozen=True)
class _Anchor:
    node: Node
    size: int
    depth: int


@dataclass
class Composer:
    """Builds the tree of one document from the parser's events.

    Args:
        events: The parser's events.
        problems: Where mistakes are added.
    """

    events: Iterator[Any]
    problems: Problems
    count: int = 0
    deepest: int = 0
    anchors: dict[str, _Anchor | None] = field(default_factory=dict)

    def document(self) -> Node | None:
        """Return the tree, or None for an empty document.

        Raises:
            GiveUpError: Composing cannot continue; the problem has been reported.
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


MAX_BYTES = 1_000_000
# YAML 1.1 treats \x85, \u2028 and \u2029 as line breaks: within quotes they would change the text.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
# The parser in C, where PyYAML was built with it, is about ten times as fast.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(content: bytes, source: str, *, inside: str = "") -> Node:
    """Read one YAML document.

    Args:
        content: The file's bytes, UTF-8, at most MAX_BYTES.
        source: Its name in messages, e.g. the path.
        inside: The dotted key for which it is the value, where it is a single value and no file.

    Raises:
        ConfigError: It is not YAML, or not within the limits; with line and column, or with that key.
    """
    problems = Problems(source, inside)
    text = _decode(content, problems)
    root: Node | None = None
    try:
        root = Composer(yaml.parse(text, Loader=LOADER), problems).document()
    except yaml.MarkedYAMLError as error:
        _add_syntax_error(error, text, problems)
    except (yaml.YAMLError, RecursionError) as error:
        problems.add(f"not YAML: {shorten(str(error), 200)}", Mark(source))
    except GiveUpError:
        pass
    problems.check()
    return root if root is not None else Node(Mark(source, 1, 1), None)


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
    if error.context_mark is not None and error.context_mark.line != mark.line:
        context = f" ({error.context}, begun on line {error.context_mark.line + 1})"
    problems.add(
        f"not YAML: {error.problem}{context}",
        at,
        hint="check indentation, colons, quotes and brackets near here",
    )
