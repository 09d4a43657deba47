"""Safe YAML reader of files and `--set` overrides: limits, a tree with positions, scalars by YAML 1.2.

Source: YAML 1.2.2, section 10.3.2. PyYAML itself follows YAML 1.1: `5e-4` is a string, `off` is false.

Only strings, numbers, lists and mappings are constructed; an alias counts each time it expands.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import yaml

from pdsearch.config.problems import Problems
from pdsearch.config.yaml_tree import Mark, Node, Path, Scalar, dotted, from_plain, shorten, to_plain
from pdsearch.errors import ConfigError

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


@dataclass
class _Extent:
    """A list or mapping: its anchor, the values in it with itself, the levels below it."""

    anchor: str | None
    values: int
    levels: int = 0


def _screen(text: str, problems: Problems) -> None:
    """Refuse what has no place in a space file, before a tree is composed of it.

    libyaml's composer calls itself once a level and overflows the stack at some ten thousand; its parser does not.
    """
    count, documents = 0, 0
    opened: list[_Extent] = []
    anchors: dict[str | None, _Extent] = {}
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionEndEvent):
            ended = opened.pop()
            ended.values = count - ended.values
            anchors[ended.anchor] = ended
            _deepen(opened, ended.levels)
        elif isinstance(event, yaml.NodeEvent):
            _refuse_names(event, opened, anchors, problems)
            node = anchors[event.anchor] if isinstance(event, yaml.AliasEvent) else _Extent(event.anchor, 1)
            count += node.values
            _deepen(opened, node.levels)
            if count > MAX_NODES:
                what = f"more than {MAX_NODES:,} values, aliases expanded"
                _refuse(what, event, problems, "a space file has a few dozen")
            if len(opened) + node.levels > MAX_DEPTH:
                _refuse(f"nested deeper than {MAX_DEPTH} levels", event, problems, "a space file needs four")
            if isinstance(event, yaml.CollectionStartEvent):
                opened.append(_Extent(event.anchor, count - 1))
            else:
                anchors[event.anchor] = node
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                hint = "a space file is one document; remove the `---`"
                _refuse("a second document starts here", event, problems, hint)


def _deepen(opened: list[_Extent], levels: int) -> None:
    if opened:
        opened[-1].levels = max(opened[-1].levels, levels + 1)


def _refuse_names(
    event: yaml.NodeEvent, opened: list[_Extent], known: Mapping[str | None, _Extent], problems: Problems
) -> None:
    """Refuse tags, and anchors and aliases that do not fit together."""
    name = event.anchor and shorten(event.anchor)
    inside = any(event.anchor == outer.anchor for outer in opened)
    if isinstance(event, yaml.AliasEvent):
        if inside:
            _refuse(f"the alias *{name} stands inside its own anchor", event, problems, WRITE_OUT)
        if event.anchor not in known:
            _refuse(f"no anchor &{name} stands before this alias", event, problems, WRITE_OUT)
    elif (tag := getattr(event, "tag", None)) is not None:
        hint = "write plain values; nothing is constructed from a space file"
        _refuse(f"the tag {shorten(tag)} is not allowed", event, problems, hint)
    elif name and (inside or event.anchor in known):
        _refuse(f"the anchor &{name} stands twice", event, problems, "give each a name of its own")


def _refuse(
    what: str, at: yaml.Event | yaml.Node, problems: Problems, hint: str, path: Path = ()
) -> NoReturn:
    problems.refuse(what, _mark(at, problems), hint, key=dotted(path))


def _mark(at: yaml.Event | yaml.Node, problems: Problems) -> Mark:
    start = at.start_mark
    return (
        Mark(problems.source, start.line + 1, start.column + 1)
        if start is not None
        else Mark(problems.source)
    )


def _tree(node: yaml.Node, path: Path, problems: Problems) -> Node:
    mark = _mark(node, problems)
    if isinstance(node, yaml.SequenceNode):
        return Node(mark, [_tree(child, (*path, i), problems) for i, child in enumerate(node.value)])
    if isinstance(node, yaml.ScalarNode):
        return Node(mark, _scalar(node, mark, path, problems))
    children: dict[str, Node] = {}
    keys: dict[str, Mark] = {}
    for key, value in node.value:
        name, place = _key(key, path, problems), _mark(key, problems)
        child = _tree(value, (*path, name), problems)
        if name in children:
            first, again = keys[name].line, place.line
            lines = f": first on line {first}, again on line {again}" if first != again else ""
            what = f"the key {shorten(name)!r} stands twice{lines}"
            problems.add(what, place, key=dotted((*path, name)), hint="keep one of them")
        else:
            children[name], keys[name] = child, place
    return Node(mark, children, keys)


def _key(node: yaml.Node, path: Path, problems: Problems) -> str:
    if not isinstance(node, yaml.ScalarNode):
        _refuse("a key must be a plain word", node, problems, "write `key: value`", path)
    if len(node.value) > MAX_TEXT:
        _refuse("a key this long is none of ours", node, problems, "check the colons near here", path)
    return str(node.value)


def _scalar(node: yaml.ScalarNode, mark: Mark, path: Path, problems: Problems) -> Scalar:
    text = str(node.value)
    if len(text) > MAX_TEXT:
        what = f"a text longer than {MAX_TEXT:,} characters"
        problems.add(what, mark, key=dotted(path), hint="shorten it")
        return ""
    if "\0" in text:
        problems.add("a null byte", mark, key=dotted(path), hint="remove it: no text holds one")
        return ""
    if node.style:  # quoted, or a block of text
        return text
    try:
        return resolve_scalar(text)
    except ValueError as error:
        problems.add(str(error), mark, key=dotted(path), hint="write a finite number of ordinary size")
        return None


MAX_BYTES = 1_000_000
# YAML 1.1 treats \x85, \u2028 and \u2029 as line breaks: within quotes they would change the text.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
# The parser in C, where PyYAML was built with it, is about ten times as fast.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
        _screen(text, problems)
        document = yaml.compose(text, Loader=LOADER)
        root = _tree(document, (), problems) if document is not None else None
    except yaml.MarkedYAMLError as error:
        _add_syntax_error(error, text, problems)
    except (yaml.YAMLError, RecursionError) as error:
        problems.add(f"not YAML: {shorten(str(error), 200)}", Mark(source))
    problems.check()
    return root if root is not None else Node(Mark(source, 1, 1), None)


def _decode(content: bytes, problems: Problems) -> str:
    if len(content) > MAX_BYTES:
        problems.refuse(
            "the file is larger than 1 MB", Mark(problems.source), "a space file has a few kilobytes"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_column(content[: error.start].decode("utf-8-sig", "replace"))
        problems.refuse(
            "not a text file in UTF-8", Mark(problems.source, line, column), "save it as UTF-8 text"
        )
    found = UNPRINTABLE.search(text)
    if found:
        mark = Mark(problems.source, *_line_column(text[: found.start()]))
        what = f"a control character ({found[0]!a}) cannot stand here"
        problems.refuse(what, mark, "remove it, or quote it as an escape")
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


def apply_overrides(root: Node, overrides: Sequence[str]) -> Node:
    """Return the document with all overrides applied; the text after `space.` is one parameter's name.

    Args:
        root: The document; not modified.
        overrides: Strings such as "search.trials=5" or "space.prune.ratio=[0.36, 0.59]".

    Raises:
        ConfigError: A string is no `dotted=value`, its value is not YAML, or its name leads into a single value.
    """
    for text in overrides:
        name, equals, value = text.partition("=")
        name = name.strip()
        source = f"--set {shorten(text)}"
        if not equals or not all(name.split(".")):
            raise ConfigError("no override", where=source, hint="write dotted=value, e.g. search.trials=5")
        path = _path(name)
        content = value.encode("utf-8", "surrogatepass")
        node = from_plain(to_plain(read_yaml(content, source, inside=dotted(path))), Mark(source))
        root = _put(root, path, node, f"{source} key {dotted(path)}")
    return root


def _path(name: str) -> Path:
    head, _, rest = name.partition(".")
    return (head, rest) if head == "space" and rest else tuple(name.split("."))


def _put(node: Node, path: Path, value: Node, where: str) -> Node:
    if not path:
        return value
    if node.value is None:
        node = Node(value.mark, {})
    step = path[0]
    if not isinstance(node.value, dict) or not isinstance(step, str):
        what, hint = "it leads into a single value", "check the dotted name"
        if isinstance(node.value, list):
            what, hint = "it leads into a list", "give the whole list: NAME=[a, b]"
        raise ConfigError(what, where=where, hint=hint)
    child = node.value.get(step, Node(value.mark, None))
    children = {**node.value, step: _put(child, path[1:], value, where)}
    # Enclosing keys keep their position in the file; the last key gets that of the override, for messages about it.
    place = value.mark if len(path) == 1 else node.keys.get(step, value.mark)
    return Node(node.mark, children, {**node.keys, step: place})
